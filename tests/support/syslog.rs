//! Real syslog receivers, rsyslog and syslog-ng as Debian builds them, unpacked into the tools' folder: as packages only one of them can be installed.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use super::certs::Certs;
use super::s3::tool;

/// The receivers that the suite runs against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Rsyslog,
    /// rsyslog with GnuTLS instead of OpenSSL.
    RsyslogGnutls,
    SyslogNg,
}

/// One of them, at work.
pub struct Syslog {
    program: Program,
    pub certs: Certs,
    dir: tempfile::TempDir,
    pub tls: SocketAddr,
    pub tcp: SocketAddr,
    pub udp: SocketAddr,
    clients: bool,
    /// It writes messages as they came, instead of their bodies.
    whole: bool,
    running: Option<Running>,
}

struct Running {
    guard: Child,
    /// The receiver's life line: it ends when this process does, however that ends.
    line: ChildStdin,
}

impl Syslog {
    /// `clients`: TLS clients must show a certificate of the same authority.
    pub fn start(program: Program, clients: bool) -> Self {
        Syslog::of(program, clients, false)
    }

    /// One that writes down whole messages, as they came.
    pub fn start_for_messages(program: Program) -> Self {
        Syslog::of(program, false, true)
    }

    fn of(program: Program, clients: bool, whole: bool) -> Self {
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let free = || at(TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
        let udp = at(UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
        let (certs, dir) = (Certs::new(), tempfile::tempdir().unwrap());
        let mut syslog = Syslog { program, certs, dir, tls: free(), tcp: free(), udp, clients, whole, running: None };
        std::fs::write(syslog.path("conf"), syslog.configuration()).unwrap();
        syslog.up();
        syslog
    }

    /// Starts it again where it was.
    pub fn up(&mut self) {
        let root = tool("syslog");
        let libraries: Vec<String> = ["lib", "usr/lib", "usr/lib/syslog-ng"]
            .map(|folder| root.join(folder))
            .iter()
            .flat_map(|folder| [folder.clone(), folder.join(format!("{}-linux-gnu", std::env::consts::ARCH))])
            .map(|folder| folder.display().to_string())
            .collect();
        let path = |name: &str| self.path(name).display().to_string();
        let (binary, arguments) = match self.program {
            Program::Rsyslog | Program::RsyslogGnutls => (
                root.join("usr/sbin/rsyslogd"),
                vec![
                    "-n".to_owned(),
                    "-f".to_owned(),
                    path("conf"),
                    "-i".to_owned(),
                    path("pid"),
                    "-M".to_owned(),
                    modules(&root, "rsyslog"),
                ],
            ),
            Program::SyslogNg => (
                root.join("usr/sbin/syslog-ng"),
                vec![
                    "-F".to_owned(),
                    "--no-caps".to_owned(),
                    "-f".to_owned(),
                    path("conf"),
                    "-R".to_owned(),
                    path("persist"),
                    "-c".to_owned(),
                    path("ctl"),
                    "-p".to_owned(),
                    path("pid"),
                    format!("--module-path={}", modules(&root, "syslog-ng")),
                ],
            ),
        };
        // The shell waits for a word or for the end of its standard input, then ends the receiver, and only that one, by its id.
        let script = r#""$@" </dev/null & server=$!; read -r how || how=TERM; kill -"$how" "$server"; wait "$server""#;
        let log = std::fs::File::create(self.path("log")).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(binary).args(arguments).env("LD_LIBRARY_PATH", libraries.join(":"));
        command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut guard = command.spawn().unwrap();
        let line = guard.stdin.take().unwrap();
        self.running = Some(Running { guard, line });
        let begin = Instant::now();
        for address in [self.tcp, self.tls] {
            while !listens(address) {
                let log = || std::fs::read_to_string(self.path("log")).unwrap();
                assert!(begin.elapsed() < Duration::from_secs(30), "{:?} does not listen: {}", self.program, log());
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// Ends it in good order, and waits until it has.
    pub fn down(&mut self) {
        self.end("TERM");
    }

    fn end(&mut self, how: &str) {
        if let Some(mut running) = self.running.take() {
            let _ = running.line.write_all(format!("{how}\n").as_bytes());
            drop(running.line);
            running.guard.wait().unwrap();
        }
    }

    /// What it has written.
    pub fn written(&self) -> Vec<String> {
        lines(&self.path("written"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn configuration(&self) -> String {
        match self.program {
            Program::Rsyslog => self.rsyslog_configuration("ossl"),
            Program::RsyslogGnutls => self.rsyslog_configuration("gtls"),
            Program::SyslogNg => self.syslog_ng_configuration(),
        }
    }

    fn rsyslog_configuration(&self, driver: &str) -> String {
        let (dir, certs) = (self.dir.path().display(), |name: &str| self.certs.path(name).display().to_string());
        let property = if self.whole { "rawmsg" } else { "msg" };
        let mode = if self.clients { "x509/certvalid" } else { "anon" };
        format!(
            r#"global(workDirectory="{dir}" maxMessageSize="64k" parser.escapeControlCharactersOnReceive="off"
  defaultNetstreamDriverCAFile="{}" defaultNetstreamDriverCertFile="{}" defaultNetstreamDriverKeyFile="{}")
module(load="imtcp")
module(load="imudp")
input(type="imtcp" address="127.0.0.1" port="{}" StreamDriver.Name="{driver}" StreamDriver.Mode="1" StreamDriver.AuthMode="{mode}")
input(type="imtcp" address="127.0.0.1" port="{}")
input(type="imudp" address="127.0.0.1" port="{}")
template(name="written" type="string" string="%{property}%\n")
action(type="omfile" file="{dir}/written" template="written")
"#,
            certs("ca.pem"),
            certs("server.pem"),
            certs("server.key"),
            self.tls.port(),
            self.tcp.port(),
            self.udp.port(),
        )
    }

    fn syslog_ng_configuration(&self) -> String {
        let (dir, certs) = (self.dir.path().display(), |name: &str| self.certs.path(name).display().to_string());
        let property = if self.whole { "RAWMSG" } else { "MSG" };
        let peer = if self.clients {
            format!("peer-verify(required-trusted) ca-file(\"{}\")", certs("ca.pem"))
        } else {
            "peer-verify(optional-untrusted)".to_owned()
        };
        format!(
            r#"@version: 3.38
options {{ use-dns(no); dns-cache(no); keep-hostname(yes); log-msg-size(65536); stats-freq(0); }};
source s {{
  syslog(ip("127.0.0.1") port({}) transport("tls") flags(store-raw-message) tls(key-file("{}") cert-file("{}") {peer}));
  syslog(ip("127.0.0.1") port({}) transport("tcp") flags(store-raw-message));
  syslog(ip("127.0.0.1") port({}) transport("udp") flags(store-raw-message));
}};
destination written {{ file("{dir}/written" template("${{{property}}}\n")); }};
log {{ source(s); destination(written); }};
"#,
            self.tls.port(),
            certs("server.key"),
            certs("server.pem"),
            self.tcp.port(),
            self.udp.port(),
        )
    }
}

impl Drop for Syslog {
    fn drop(&mut self) {
        self.end("TERM");
    }
}

/// The folder of a receiver's modules: syslog-ng has one a version, rsyslog one an architecture.
fn modules(root: &Path, program: &str) -> String {
    let arch = format!("usr/lib/{}-linux-gnu/{program}", std::env::consts::ARCH);
    let folder = match program {
        "rsyslog" => root.join(arch),
        _ => {
            let versions =
                std::fs::read_dir(root.join("usr/lib").join(program)).unwrap().map(|entry| entry.unwrap().path());
            versions
                .filter(|path| path.is_dir())
                .find(|path| path.join("libafsocket.so").exists())
                .expect("its modules")
        }
    };
    folder.display().to_string()
}

/// Whether somebody listens there. Asked of the kernel: a connection that is made and left at once is one more thing for a receiver to do wrong.
fn listens(address: SocketAddr) -> bool {
    let (SocketAddr::V4(v4), Ok(table)) = (address, std::fs::read_to_string("/proc/net/tcp")) else { return false };
    let wanted = format!("{:08X}:{:04X}", u32::from_ne_bytes(v4.ip().octets()), v4.port());
    table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .any(|words| words.get(1) == Some(&wanted.as_str()) && words.get(3) == Some(&"0A"))
}

/// Whole lines; without the byte order mark that rsyslog leaves at a body's beginning.
fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .split('\n')
        .filter(|line| !line.is_empty())
        .map(|line| line.trim_start_matches('\u{feff}').to_owned())
        .collect()
}
