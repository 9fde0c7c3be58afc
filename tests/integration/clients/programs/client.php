<?php
// PHP's ext/ftp as programs.py drives it: a session from standard input, one line an operation, one line an answer.

[$host, $port, $mode, $login, $password] = explode("\t", rtrim(fgets(STDIN), "\n"));

function must(mixed $done): mixed
{
    if ($done === false || $done === -1) {
        throw new RuntimeException(error_get_last()['message'] ?? 'it returned false');
    }
    return $done;
}

error_reporting(E_ALL);
ini_set('display_errors', '0');
$ftp = null;
while (($line = fgets(STDIN)) !== false) {
    [$operation, $one, $two, $three] = explode("\t", rtrim($line, "\n") . "\t\t\t");
    try {
        if ($ftp === null) {
            $connect = $mode === 'explicit' ? 'ftp_ssl_connect' : 'ftp_connect';
            $ftp = must($connect($host, (int) $port, 20));
            must(ftp_login($ftp, $login, $password));
            must(ftp_pasv($ftp, true));
        }
        $told = match ($operation) {
            'list' => array_column(must(ftp_mlsd($ftp, $one)), 'name'),
            'put' => must(ftp_put($ftp, $two, $one, FTP_BINARY)),
            'get' => must(ftp_get($ftp, $two, $one, FTP_BINARY)),
            'resume_get' => must(ftp_get($ftp, $two, $one, FTP_BINARY, filesize($two))),
            'resume_put' => must(ftp_put($ftp, $two, $one, FTP_BINARY, must(ftp_size($ftp, $two)))),
            'append' => must(ftp_append($ftp, $two, $one, FTP_BINARY)),
            'rename' => must(ftp_rename($ftp, $one, $two)),
            'make_directory' => must(ftp_mkdir($ftp, $one)),
            'remove_directory' => must(ftp_rmdir($ftp, $one)),
            'delete' => must(ftp_delete($ftp, $one)),
            'get_time' => [(string) must(ftp_mdtm($ftp, $one))],
            'set_time' => must(str_starts_with(ftp_raw($ftp, "MFMT $two $one")[0], '213')),
        };
        echo implode("\t", ['ok', ...(is_array($told) ? $told : [])]), "\n";
    } catch (Throwable $error) {
        echo "error\t", strtr($error->getMessage(), "\r\n\t", '   '), "\n";
    }
}
if ($ftp) {
    ftp_close($ftp);
}
