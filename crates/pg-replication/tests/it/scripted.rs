//! A server that does what a test tells it, over TCP on loopback.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

/// A server for one connection; dropping it waits for the end of its script.
#[derive(Debug)]
pub(crate) struct Scripted {
    port: u16,
    script: Option<JoinHandle<()>>,
}

/// The server's side of the connection.
#[derive(Debug)]
pub(crate) struct Peer(TcpStream);

impl Scripted {
    pub(crate) fn start(script: impl FnOnce(&mut Peer) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = std::thread::spawn(move || script(&mut Peer(listener.accept().unwrap().0)));
        Self {
            port,
            script: Some(script),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!(
            "postgres://relay:secret@127.0.0.1:{}/app?sslmode=disable",
            self.port
        )
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        let ended = self.script.take().unwrap().join();
        assert!(
            std::thread::panicking() || ended.is_ok(),
            "the script failed"
        );
    }
}

impl Peer {
    /// Reads a message without a tag: the startup packet, or a request for TLS.
    pub(crate) fn startup(&mut self) -> Vec<u8> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        self.body(length)
    }

    /// Reads a message; its tag and body.
    pub(crate) fn message(&mut self) -> (u8, Vec<u8>) {
        let mut tag = [0];
        self.0.read_exact(&mut tag).unwrap();
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        (tag[0], self.body(length))
    }

    fn body(&mut self, length: [u8; 4]) -> Vec<u8> {
        let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
        self.0.read_exact(&mut body).unwrap();
        body
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    pub(crate) fn send(&mut self, tag: u8, body: &[u8]) {
        let length = u32::try_from(body.len() + 4).unwrap();
        self.raw(&[&[tag][..], &length.to_be_bytes(), body].concat());
    }

    pub(crate) fn error(&mut self, severity: &str, code: &str, message: &str) {
        self.send(
            b'E',
            format!("S{severity}\0V{severity}\0C{code}\0M{message}\0\0").as_bytes(),
        );
    }

    /// Takes whoever comes, as a server of version 15.
    pub(crate) fn accept(&mut self) {
        self.startup();
        self.send(b'R', &0_u32.to_be_bytes());
        self.send(b'S', b"server_version\x0015.18\0");
        self.send(b'K', &[0; 8]);
        self.ready();
    }

    pub(crate) fn ready(&mut self) {
        self.send(b'Z', b"I");
    }

    /// Answers a query with one row of one column.
    pub(crate) fn one_row(&mut self, value: &str) {
        let mut description = b"\0\x01column\0".to_vec();
        description.extend([0; 18]);
        self.send(b'T', &description);
        let length = u32::try_from(value.len()).unwrap().to_be_bytes();
        self.send(b'D', &[&b"\0\x01"[..], &length, value.as_bytes()].concat());
        self.send(b'C', b"SELECT 1\0");
        self.ready();
    }

    /// Reads until the client hangs up.
    pub(crate) fn until_closed(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is as much of an end.
        drop(self.0.read_to_end(&mut rest));
        rest
    }
}
