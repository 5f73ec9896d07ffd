//! A port on loopback that stays ours while nobody listens on it: whoever connects then is refused, and no other connection of this machine gets it for
//! its own end.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpSocket};

/// Starting a process takes no longer, on a busy machine too.
const FREE_WITHIN: Duration = Duration::from_secs(20);

pub struct Place {
    pub address: SocketAddr,
    /// Bound, and never listening.
    _held: TcpSocket,
}

impl Place {
    /// A free port of `ip`.
    pub fn take(ip: IpAddr) -> Self {
        let held = bound(SocketAddr::from((ip, 0))).unwrap();
        Place { address: held.local_addr().unwrap(), _held: held }
    }

    /// The last listener may be open for a moment after it was closed here: a process that is being started has a copy, until it becomes another program.
    pub fn listen(&self) -> TcpListener {
        let begin = Instant::now();
        loop {
            match bound(self.address).and_then(|socket| socket.listen(1024)) {
                Ok(listener) => return listener,
                Err(error) => assert!(begin.elapsed() < FREE_WITHIN, "{}: {error}", self.address),
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Several may be bound to one address, as long as one of them listens.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}
