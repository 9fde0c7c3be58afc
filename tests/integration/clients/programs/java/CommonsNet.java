// commons-net as programs.py drives it: a session from standard input, one line an operation, one line an answer.

import java.io.BufferedReader;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;
import org.apache.commons.net.ftp.FTP;
import org.apache.commons.net.ftp.FTPClient;
import org.apache.commons.net.ftp.FTPFile;
import org.apache.commons.net.ftp.FTPSClient;

public final class CommonsNet {
    private static final int ABORTED_AFTER = 9 * 1024 * 1024;

    private final FTPClient ftp;

    private CommonsNet(String[] how) throws Exception {
        if (how[2].equals("clear")) {
            ftp = new FTPClient();
        } else {
            FTPSClient tls = new FTPSClient("TLS", how[2].equals("implicit"));
            tls.setTrustManager(trusting(Path.of(how[5])));
            ftp = tls;
        }
        ftp.setControlEncoding("UTF-8");
        ftp.setConnectTimeout(20_000);
        ftp.setDefaultTimeout(20_000);
        ftp.connect(how[0], Integer.parseInt(how[1]));
        must(ftp.login(how[3], how[4]));
        if (ftp instanceof FTPSClient tls) {
            tls.execPBSZ(0);
            tls.execPROT("P");
        }
        ftp.enterLocalPassiveMode();
        must(ftp.setFileType(FTP.BINARY_FILE_TYPE));
    }

    private static X509TrustManager trusting(Path authority) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (InputStream file = Files.newInputStream(authority)) {
            store.setCertificateEntry("server", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init(store);
        return (X509TrustManager) factory.getTrustManagers()[0];
    }

    private void must(boolean done) throws IOException {
        if (!done) {
            throw new IOException(ftp.getReplyString());
        }
    }

    private void retrieve(String remote, String local, boolean append) throws IOException {
        try (OutputStream file = new FileOutputStream(local, append)) {
            must(ftp.retrieveFile(remote, file));
        }
    }

    private void store(String local, String remote, long offset) throws IOException {
        try (InputStream file = new FileInputStream(local)) {
            file.skipNBytes(offset);
            must(ftp.storeFile(remote, file));
        }
    }

    /** Its abort() reads one reply; the other one of 426 and 226 is read here. */
    private void abort() throws IOException {
        ftp.abort();
        ftp.getReply();
    }

    private List<String> operate(String operation, String[] given) throws Exception {
        switch (operation) {
            case "list" -> {
                return Arrays.stream(ftp.mlistDir(given[0])).map(FTPFile::getName).toList();
            }
            case "put" -> store(given[0], given[1], 0);
            case "get" -> retrieve(given[0], given[1], false);
            case "resume_get" -> {
                ftp.setRestartOffset(new File(given[1]).length());
                retrieve(given[0], given[1], true);
            }
            case "resume_put" -> {
                long there = Long.parseLong(ftp.getSize(given[1]));
                ftp.setRestartOffset(there);
                store(given[0], given[1], there);
            }
            case "append" -> {
                try (InputStream file = new FileInputStream(given[0])) {
                    must(ftp.appendFile(given[1], file));
                }
            }
            case "rename" -> must(ftp.rename(given[0], given[1]));
            case "make_directory" -> must(ftp.makeDirectory(given[0]));
            case "remove_directory" -> must(ftp.removeDirectory(given[0]));
            case "delete" -> must(ftp.deleteFile(given[0]));
            case "get_time" -> {
                return List.of(Long.toString(ftp.mdtmInstant(given[0]).getEpochSecond()));
            }
            case "set_time" -> must(ftp.setModificationTime(given[0], given[1]));
            case "abort_get" -> {
                try (InputStream data = ftp.retrieveFileStream(given[0])) {
                    data.readNBytes(1000);
                    abort();
                }
                retrieve(given[1], given[2], false);
            }
            case "abort_put" -> {
                try (OutputStream data = ftp.storeFileStream(given[1])) {
                    data.write(new byte[ABORTED_AFTER]);
                    abort();
                } catch (IOException ignored) {
                    // Closing what the server has closed already.
                }
                store(given[2], given[3], 0);
            }
            default -> throw new IllegalArgumentException(operation);
        }
        return List.of();
    }

    public static void main(String[] arguments) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        String[] how = in.readLine().split("\t", -1);
        CommonsNet client = null;
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split("\t", -1);
            try {
                client = client == null ? new CommonsNet(how) : client;
                List<String> told = new ArrayList<>(List.of("ok"));
                told.addAll(client.operate(words[0], Arrays.copyOfRange(words, 1, words.length)));
                out.println(String.join("\t", told));
            } catch (Exception error) {
                out.println("error\t" + error.toString().replaceAll("\\s+", " "));
            }
        }
        if (client != null) {
            client.ftp.logout();
            client.ftp.disconnect();
        }
    }
}
