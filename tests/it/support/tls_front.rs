//! TLS in front of a plain server: takes the client's handshake and passes the bytes on.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::authority::Authority;

/// A listener under way; dropping it ends every connection.
pub struct TlsFront {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

impl TlsFront {
    /// Before a plain server, with the certificate of this name.
    pub fn before(server: SocketAddr, authority: &Authority, name: &str) -> Self {
        Self::speaking(server, authority, name, &[])
    }

    /// The same, agreeing on one of these protocols.
    pub fn speaking(
        server: SocketAddr,
        authority: &Authority,
        name: &str,
        protocols: &[&str],
    ) -> Self {
        let chain = CertificateDer::pem_file_iter(authority.certificate(name))
            .expect("a certificate")
            .collect::<Result<Vec<_>, _>>()
            .expect("a PEM");
        let key = PrivateKeyDer::from_pem_file(authority.key(name)).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a certificate and its key");
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().into())
            .collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("it is bound");
        let (stop, stopped) = oneshot::channel();
        let serving = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    () = serve(listener, acceptor, server) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            stop: Some(stop),
            serving: Some(serving),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn serve(listener: tokio::net::TcpListener, acceptor: TlsAcceptor, server: SocketAddr) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // A client that refuses the certificate is what some tests want to see.
            let Ok(mut client) = acceptor.accept(client).await else {
                return;
            };
            let Ok(mut behind) = TcpStream::connect(server).await else {
                return;
            };
            drop(tokio::io::copy_bidirectional(&mut client, &mut behind).await);
        });
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.serving.take().is_some_and(|one| one.join().is_err()) {
            eprintln!("the TLS front panicked");
        }
    }
}
