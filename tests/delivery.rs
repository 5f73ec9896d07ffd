//! Delivery: one conformance suite that every destination passes, and what each promises beyond it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

#[path = "delivery/aws.rs"]
mod aws;
#[path = "delivery/conformance.rs"]
mod conformance;
#[path = "delivery/couriers.rs"]
mod couriers;
#[path = "delivery/far.rs"]
mod far;
#[path = "delivery/http.rs"]
mod http;
#[path = "delivery/objects.rs"]
mod objects;
#[path = "delivery/s3.rs"]
mod s3;
