"""The FTP server: the only package that imports aioftp. `FtpsServer` is built by app.py from the parts it is handed."""
