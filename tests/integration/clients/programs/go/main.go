// jlaffaye/ftp as programs.py drives it: a session from standard input, one line an operation, one line an answer.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jlaffaye/ftp"
)

const patience = 20 * time.Second

func connect(how []string) (*ftp.ServerConn, error) {
	options := []ftp.DialOption{ftp.DialWithTimeout(patience)}
	if how[2] != "clear" {
		pem, err := os.ReadFile(how[5])
		if err != nil {
			return nil, err
		}
		authorities := x509.NewCertPool()
		authorities.AppendCertsFromPEM(pem)
		// Without the cache, no data connection would resume the control connection's session.
		config := &tls.Config{RootCAs: authorities, ServerName: how[0], ClientSessionCache: tls.NewLRUClientSessionCache(0)}
		if how[2] == "implicit" {
			options = append(options, ftp.DialWithTLS(config))
		} else {
			options = append(options, ftp.DialWithExplicitTLS(config))
		}
	}
	client, err := ftp.Dial(how[0]+":"+how[1], options...)
	if err != nil {
		return nil, err
	}
	if err := client.Login(how[3], how[4]); err != nil {
		client.Quit()
		return nil, err
	}
	return client, nil
}

func retrieve(client *ftp.ServerConn, remote, local string, flags int) error {
	file, err := os.OpenFile(local, flags|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	there, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	data, err := client.RetrFrom(remote, uint64(there))
	if err != nil {
		return err
	}
	if _, err := io.Copy(file, data); err != nil {
		data.Close()
		return err
	}
	return data.Close()
}

func send(local string, from int64, act func(io.Reader) error) error {
	file, err := os.Open(local)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Seek(from, io.SeekStart); err != nil {
		return err
	}
	return act(file)
}

func operate(client *ftp.ServerConn, operation string, given []string) ([]string, error) {
	switch operation {
	case "list":
		entries, err := client.List(given[0])
		names := []string{}
		for _, entry := range entries {
			names = append(names, entry.Name)
		}
		return names, err
	case "put":
		return nil, send(given[0], 0, func(file io.Reader) error { return client.Stor(given[1], file) })
	case "get":
		return nil, retrieve(client, given[0], given[1], os.O_TRUNC)
	case "resume_get":
		return nil, retrieve(client, given[0], given[1], os.O_APPEND)
	case "resume_put":
		there, err := client.FileSize(given[1])
		if err != nil {
			return nil, err
		}
		return nil, send(given[0], there, func(file io.Reader) error { return client.StorFrom(given[1], file, uint64(there)) })
	case "append":
		return nil, send(given[0], 0, func(file io.Reader) error { return client.Append(given[1], file) })
	case "rename":
		return nil, client.Rename(given[0], given[1])
	case "make_directory":
		return nil, client.MakeDir(given[0])
	case "remove_directory":
		return nil, client.RemoveDir(given[0])
	case "delete":
		return nil, client.Delete(given[0])
	case "get_time":
		when, err := client.GetTime(given[0])
		return []string{strconv.FormatInt(when.Unix(), 10)}, err
	case "set_time":
		when, err := time.Parse("20060102150405", given[1])
		if err != nil {
			return nil, err
		}
		return nil, client.SetTime(given[0], when)
	case "abort_get":
		data, err := client.Retr(given[0])
		if err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(data, make([]byte, 1000)); err != nil {
			return nil, err
		}
		data.Close() // it gives the 426 for an error
		return nil, retrieve(client, given[1], given[2], os.O_TRUNC)
	}
	return nil, fmt.Errorf("no operation %q", operation)
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Scan()
	how := strings.Split(lines.Text(), "\t")
	var client *ftp.ServerConn
	for lines.Scan() {
		words := strings.Split(lines.Text(), "\t")
		var told []string
		var err error
		if client == nil {
			client, err = connect(how)
		}
		if err == nil {
			told, err = operate(client, words[0], words[1:])
		}
		if err != nil {
			fmt.Println("error\t" + strings.Join(strings.Fields(err.Error()), " "))
		} else {
			fmt.Println(strings.Join(append([]string{"ok"}, told...), "\t"))
		}
	}
	if client != nil {
		client.Quit()
	}
}
