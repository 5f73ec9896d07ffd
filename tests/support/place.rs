//! A port on loopback that stays ours while nobody listens on it: whoever connects then is refused, and no other connection of this machine gets it for
//! its own end.

use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

pub struct Place {
    pub address: SocketAddr,
    /// Bound, and never listening.
    _held: TcpSocket,
}

impl Place {
    /// A free port of `ip`.
    pub fn take(ip: IpAddr) -> Self {
        let held = bound(SocketAddr::from((ip, 0)));
        Place { address: held.local_addr().unwrap(), _held: held }
    }

    pub fn listen(&self) -> TcpListener {
        bound(self.address).listen(1024).unwrap()
    }
}

fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    // Several may be bound to one address, as long as one of them listens.
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}
