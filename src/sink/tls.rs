//! What all network destinations share about TLS: one crypto provider, and telling a TLS failure from a network failure.

use std::error::Error;
use std::io;

/// Makes ring the provider of this process, for libraries that ask for the default.
pub(super) fn use_ring() {
    // An error means that a provider is set already: by another destination, with the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

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
