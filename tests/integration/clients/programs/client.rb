# Ruby's net-ftp as programs.py drives it: a session from standard input, one line an operation, one line an answer.

require "net/ftp"

def fields(line)
  line.chomp("\n").split("\t", -1)
end

Encoding.default_external = Encoding::UTF_8
HOST, PORT, MODE, LOGIN, PASSWORD, AUTHORITY = fields($stdin.gets)
BLOCK = 256 * 1024

def begin_session
  tls = { ca_file: AUTHORITY, verify_mode: OpenSSL::SSL::VERIFY_PEER }
  options = { port: PORT.to_i, passive: true, open_timeout: 20, read_timeout: 20, username: LOGIN, password: PASSWORD }
  Net::FTP.new(HOST, **options, ssl: MODE == "clear" ? false : tls)
end

def abort(ftp, data)
  ftp.abort
  data.close
  ftp.send(:getmultiline)
end

def operate(ftp, operation, one, two, three, four)
  case operation
  when "list" then return ftp.mlsd(one).map(&:pathname)
  when "put" then ftp.putbinaryfile(one, two, BLOCK)
  when "get" then ftp.getbinaryfile(one, two, BLOCK)
  when "resume_get", "resume_put"
    ftp.resume = true
    operation == "resume_get" ? ftp.getbinaryfile(one, two, BLOCK) : ftp.putbinaryfile(one, two, BLOCK)
  when "append" then File.open(one, "rb") { |file| ftp.storbinary("APPE #{two}", file, BLOCK) }
  when "rename" then ftp.rename(one, two)
  when "make_directory" then ftp.mkdir(one)
  when "remove_directory" then ftp.rmdir(one)
  when "delete" then ftp.delete(one)
  when "get_time" then return [ftp.mtime(one).to_i.to_s]
  when "set_time" then ftp.sendcmd("MFMT #{two} #{one}")
  when "abort_get"
    data, = ftp.send(:transfercmd, "RETR #{one}")
    data.read(1000)
    abort(ftp, data)
    ftp.getbinaryfile(two, three, BLOCK)
  when "abort_put"
    data, = ftp.send(:transfercmd, "STOR #{two}")
    data.write(File.binread(one, 9 * 1024 * 1024))
    abort(ftp, data)
    ftp.putbinaryfile(three, four, BLOCK)
  else raise "no operation #{operation}"
  end
  []
end

$stdout.sync = true
ftp = nil
while (line = $stdin.gets)
  begin
    ftp ||= begin_session
    words = fields(line) + [nil] * 5
    puts ["ok", *operate(ftp, *words[0, 5])].join("\t")
  rescue StandardError => error
    puts "error\t#{error.class}: #{error.message}".gsub(/[\r\n]+/, " ")
  end
end
ftp&.quit
