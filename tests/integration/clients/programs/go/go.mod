module aioftps3/tests/jlaffaye

go 1.21

require github.com/jlaffaye/ftp v0.2.4
