//! suppaftp as programs.py drives it: a session from standard input, one line an operation, one line an answer.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};

use suppaftp::list::File as Entry;
use suppaftp::native_tls::{Certificate, TlsConnector};
use suppaftp::types::FileType;
use suppaftp::{NativeTlsConnector, NativeTlsFtpStream, Status};

const ABORTED_AFTER: usize = 9 * 1024 * 1024;

type Done<T> = Result<T, Box<dyn Error>>;

fn connect(how: &[String]) -> Done<NativeTlsFtpStream> {
    let address = format!("{}:{}", how[0], how[1]);
    let authority = Certificate::from_pem(&std::fs::read(&how[5])?)?;
    let tls = || -> Done<NativeTlsConnector> {
        Ok(TlsConnector::builder().add_root_certificate(authority.clone()).build()?.into())
    };
    let mut ftp = match how[2].as_str() {
        "implicit" => NativeTlsFtpStream::connect_secure_implicit(&address, tls()?, &how[0])?,
        "explicit" => NativeTlsFtpStream::connect(&address)?.into_secure(tls()?, &how[0])?,
        _ => NativeTlsFtpStream::connect(&address)?,
    };
    ftp.login(&how[3], &how[4])?;
    ftp.transfer_type(FileType::Binary)?;
    Ok(ftp)
}

fn retrieve(ftp: &mut NativeTlsFtpStream, remote: &str, file: &mut File) -> Done<()> {
    let mut data = ftp.retr_as_stream(remote)?;
    io::copy(&mut data, file)?;
    Ok(ftp.finalize_retr_stream(data)?)
}

fn operate(ftp: &mut NativeTlsFtpStream, operation: &str, given: &[String]) -> Done<Vec<String>> {
    match operation {
        "list" => {
            let lines = ftp.mlsd(Some(&given[0]))?;
            let names = lines.iter().map(|line| Ok(Entry::from_mlsx_line(line)?.name().to_string()));
            return names.collect();
        }
        "put" => {
            ftp.put_file(&given[1], &mut File::open(&given[0])?)?;
        }
        "get" => retrieve(ftp, &given[0], &mut File::create(&given[1])?)?,
        "resume_get" => {
            let mut file = OpenOptions::new().append(true).open(&given[1])?;
            ftp.resume_transfer(file.metadata()?.len() as usize)?;
            retrieve(ftp, &given[0], &mut file)?;
        }
        "resume_put" => {
            let there = ftp.size(&given[1])?;
            let mut file = File::open(&given[0])?;
            file.seek(SeekFrom::Start(there as u64))?;
            ftp.resume_transfer(there)?;
            ftp.put_file(&given[1], &mut file)?;
        }
        "append" => {
            ftp.append_file(&given[1], &mut File::open(&given[0])?)?;
        }
        "rename" => ftp.rename(&given[0], &given[1])?,
        "make_directory" => ftp.mkdir(&given[0])?,
        "remove_directory" => ftp.rmdir(&given[0])?,
        "delete" => ftp.rm(&given[0])?,
        "get_time" => return Ok(vec![ftp.mdtm(&given[0])?.and_utc().timestamp().to_string()]),
        "set_time" => {
            ftp.custom_command(format!("MFMT {} {}", given[1], given[0]), &[Status::File])?;
        }
        "abort_get" => {
            let mut data = ftp.retr_as_stream(&given[0])?;
            data.read_exact(&mut [0; 1000])?;
            ftp.abort(data)?;
            retrieve(ftp, &given[1], &mut File::create(&given[2])?)?;
        }
        "abort_put" => {
            let mut data = ftp.put_with_stream(&given[1])?;
            data.write_all(&vec![0; ABORTED_AFTER])?;
            ftp.abort(data)?;
            ftp.put_file(&given[3], &mut File::open(&given[2])?)?;
        }
        _ => return Err(format!("no operation {operation}").into()),
    }
    Ok(Vec::new())
}

fn main() -> Done<()> {
    let mut lines = io::stdin().lock().lines();
    let fields = |line: String| -> Vec<String> { line.split('\t').map(String::from).collect() };
    let how = fields(lines.next().ok_or("no first line")??);
    let mut client = None;
    for line in lines {
        let words = fields(line?);
        let told = match client {
            None => connect(&how).map(|ftp| client.insert(ftp)),
            Some(ref mut ftp) => Ok(ftp),
        }
        .and_then(|ftp| operate(ftp, &words[0], &words[1..]));
        match told {
            Ok(values) => println!("{}", [vec![String::from("ok")], values].concat().join("\t")),
            Err(error) => println!("error\t{}", error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")),
        }
    }
    if let Some(mut ftp) = client {
        ftp.quit()?;
    }
    Ok(())
}
