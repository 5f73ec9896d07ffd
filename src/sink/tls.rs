//! What all network destinations share about TLS: one crypto provider, whom to trust, the client's side of a connection, and telling a TLS failure
//! from a network failure.

use std::error::Error;
use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{
    ALL_VERSIONS, AlertDescription, ClientConfig, DigitallySignedStruct, PeerIncompatible, RootCertStore,
    SignatureScheme, SupportedProtocolVersion,
};

use super::{Refusal, read_named};
use crate::config::plan::{TlsPlan, TlsVersion};

/// Makes ring the provider of this process, for libraries that ask for the default.
pub(super) fn use_ring() {
    // An error means that a provider is set already: by another destination, with the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// How a client of this plan speaks TLS.
pub(super) fn client_config(plan: &TlsPlan) -> Result<ClientConfig, Refusal> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let any = AnyCertificate(provider.signature_verification_algorithms);
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions(plan.min_version));
    let builder = builder.map_err(|error| Refusal::stop(error.to_string(), "this is a fault of the agent"))?;
    let builder = match plan.accept_any_certificate {
        true => builder.dangerous().with_custom_certificate_verifier(Arc::new(any)),
        false => builder.with_root_certificates(roots(plan)?),
    };
    let config = match (&plan.cert_file, &plan.key_file) {
        (Some(cert_file), Some(key_file)) => {
            let certificates = certificates(&read_named(cert_file, "tls.cert_file")?, "tls.cert_file")?;
            let key = PrivateKeyDer::from_pem_slice(&read_named(key_file, "tls.key_file")?)
                .map_err(|_| Refusal::stop("`tls.key_file` holds no private key", PEM_HINT))?;
            builder.with_client_auth_cert(certificates, key).map_err(|error| {
                Refusal::stop(format!("`tls.cert_file` and `tls.key_file` cannot be used: {error}"), PEM_HINT)
            })?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(config)
}

fn versions(min: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    match min {
        TlsVersion::V1_2 => ALL_VERSIONS,
        TlsVersion::V1_3 => TLS13_ALONE,
    }
}

static TLS13_ALONE: &[&SupportedProtocolVersion] = &[&TLS13];

const PEM_HINT: &str = "put a PEM file there: certificates, or a private key without a passphrase";

fn roots(plan: &TlsPlan) -> Result<RootCertStore, Refusal> {
    let mut roots = RootCertStore::empty();
    let Some(ca_file) = &plan.ca_file else {
        // Those of the system that cannot be read are no roots: if the far side's is among them, it is not trusted, and that is said then.
        let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if added == 0 {
            return Err(Refusal::stop(
                "this machine has no certificates of authorities",
                "install ca-certificates, or set `tls.ca_file`",
            ));
        }
        return Ok(roots);
    };
    for certificate in certificates(&read_named(ca_file, "tls.ca_file")?, "tls.ca_file")? {
        roots
            .add(certificate)
            .map_err(|error| Refusal::stop(format!("`tls.ca_file` holds no authority: {error}"), PEM_HINT))?;
    }
    Ok(roots)
}

fn certificates(pem: &[u8], key: &str) -> Result<Vec<CertificateDer<'static>>, Refusal> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(Refusal::stop(format!("`{key}` holds no certificate"), PEM_HINT)),
    }
}

/// For `danger_accept_any_certificate`: takes whatever certificate there is. Who answers must still hold its key, so that the connection ends at one place.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// What to do about a TLS failure: `otherwise`, unless it is about the version.
pub(super) fn hint(error: &rustls::Error, otherwise: &'static str) -> &'static str {
    let is_version = matches!(
        error,
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)
            | rustls::Error::PeerIncompatible(
                PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                    | PeerIncompatible::ServerDoesNotSupportTls12Or13
            )
    );
    if is_version { VERSION_HINT } else { otherwise }
}

const VERSION_HINT: &str = "the far side speaks no TLS as new as `tls.min_version` wants, which is 1.2 unless it is set: switch a newer one on \
                            there, or lower `tls.min_version` where it is \"1.3\"";

/// The TLS error within `error`, if it is one. Certificates do not mend by trying again soon.
pub(super) fn tls_failure<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>())
}

/// Whether a host name did not resolve.
pub(super) fn is_resolve_failure(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| {
        let text = cause.to_string();
        text.starts_with("dns error") || text.contains("failed to lookup address")
    })
}

/// The causes of an error in one line, outermost first, each said once.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for cause in causes(error) {
        let said = cause.to_string();
        if !said.is_empty() && !text.contains(&said) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&said);
        }
    }
    text
}

/// An error and its causes, with those that `io::Error` hides.
pub(super) fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |cause| cause_of(*cause))
}

fn cause_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// What a receiver's certificate must be for; `key` names the host in the configuration.
pub(super) fn server_name(host: &str, key: &str) -> Result<ServerName<'static>, Refusal> {
    ServerName::try_from(host.to_owned()).map_err(|_| {
        Refusal::stop(format!("the host in `{key}` is no name that a certificate can have"), format!("check `{key}`"))
    })
}
