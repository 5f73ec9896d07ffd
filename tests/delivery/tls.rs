//! TLS: which versions are spoken, and what it takes to switch verification off.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sealtrail::config::plan::{DestinationKind, HttpPlan, SyslogPlan, TlsPlan, TlsVersion, Transport};
use sealtrail::ship;
use sealtrail::sink::Step;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::version::{TLS12, TLS13};

use crate::far::{Run, http_plan, plan};
use crate::support::certs::{Certs, self_signed};
use crate::support::front::{Behind, Front};
use crate::support::journal::Journal;
use crate::syslog::tcp_plan;

/// The far side of either way to speak TLS that the agent has.
enum Side {
    Http(Front),
    Syslog(SocketAddr),
}

impl Side {
    async fn both(acceptor: &TlsAcceptor) -> [Side; 2] {
        [
            Side::Http(Front::start(Behind::Collector, Some(acceptor.clone())).await),
            Side::Syslog(receiver(acceptor.clone()).await),
        ]
    }

    fn kind(&self, tls: &TlsPlan) -> DestinationKind {
        match self {
            Side::Http(front) => {
                let url = format!("https://localhost:{}/in", front.address.port());
                DestinationKind::Http(Box::new(HttpPlan { tls: tls.clone(), ..http_plan(&url) }))
            }
            Side::Syslog(address) => DestinationKind::Syslog(Box::new(SyslogPlan {
                host: "localhost".to_owned(),
                port: address.port(),
                transport: Transport::Tls,
                tls: tls.clone(),
                ..tcp_plan()
            })),
        }
    }

    async fn takes(&self, tls: &TlsPlan) {
        let journal = Journal::filled();
        let run = Run::start(&journal, vec![self.kind(tls)]);
        run.until("delivered", |health| health.next_line.load(Relaxed) == 27).await;
        run.stop().await;
        assert!(ship::probe(&plan(&journal, vec![self.kind(tls)])).await[0].result.is_ok());
    }

    /// Nothing gets there; returns what is said of it.
    async fn refuses(&self, tls: &TlsPlan) -> String {
        let journal = Journal::filled();
        let run = Run::start(&journal, vec![self.kind(tls)]);
        run.until("stopped", |health| health.stopped.load(Relaxed)).await;
        let problem = run.one().problem.get().unwrap();
        assert_eq!(run.one().next_line.load(Relaxed), 0);
        run.stop().await;
        let found = ship::probe(&plan(&journal, vec![self.kind(tls)])).await;
        let error = found[0].result.as_ref().unwrap_err();
        assert_eq!(error.step, Step::Tls, "{error:?}");
        assert!(problem.contains(&error.hint), "{problem}\n{error:?}");
        problem
    }
}

/// A syslog receiver that reads to the end of each connection, and ends it then.
async fn receiver(acceptor: TlsAcceptor) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = Arc::new(acceptor);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = Arc::clone(&acceptor);
            tokio::spawn(async move {
                // Who does not trust it goes away.
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                if stream.read_to_end(&mut Vec::new()).await.is_ok() {
                    let _ = stream.shutdown().await;
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_older_than_wanted_is_not_spoken() {
    let certs = Certs::new();
    let tls = |min_version| TlsPlan { ca_file: Some(certs.path("ca.pem")), min_version, ..TlsPlan::default() };
    for side in Side::both(&certs.acceptor_of(false, &[&TLS12])).await {
        let said = side.refuses(&tls(TlsVersion::V1_3)).await;
        assert!(said.contains("tls.min_version"), "{said}");
        side.takes(&tls(TlsVersion::V1_2)).await;
    }
    for side in Side::both(&certs.acceptor_of(false, &[&TLS13])).await {
        side.takes(&tls(TlsVersion::V1_3)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_nobody_vouches_for_is_taken_only_where_the_danger_is_named() {
    let danger = TlsPlan { accept_any_certificate: true, ..TlsPlan::default() };
    for side in Side::both(&self_signed(true)).await {
        let said = side.refuses(&TlsPlan::default()).await;
        assert!(said.contains("certificate") && said.contains("tls.ca_file"), "{said}");
        side.takes(&danger).await;
        let newest = TlsPlan { min_version: TlsVersion::V1_3, ..danger.clone() };
        side.takes(&newest).await;
    }
    // Who shows a certificate without having its key is somebody in between who cannot even be that.
    for side in Side::both(&self_signed(false)).await {
        let said = side.refuses(&danger).await;
        assert!(said.contains("BadSignature"), "{said}");
    }
}
