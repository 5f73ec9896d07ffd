//! Rotel, an OpenTelemetry collector that others wrote: it takes logs by OTLP and passes them on by OTLP.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::s3::tool;

pub struct Rotel {
    address: SocketAddr,
    child: Child,
}

impl Rotel {
    /// Passes on to `url`.
    pub fn start(url: &str) -> Self {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (http, grpc) = (free(), free());
        let child = Command::new(tool("bin/rotel-agent"))
            .args(["start", "--exporter", "otlp", "--otlp-exporter-protocol", "http", "--batch-timeout", "200ms"])
            .args(["--otlp-exporter-endpoint", url, "--otlp-http-endpoint", &http.to_string()])
            .args(["--otlp-grpc-endpoint", &grpc.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begin = Instant::now();
        while TcpStream::connect(http).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(60), "rotel does not listen on {http}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Rotel { address: http, child }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Rotel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
