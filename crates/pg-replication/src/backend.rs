//! Messages of the server outside of CopyData.
#![deny(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap
)]

mod authentication;
mod copy_response;
mod data_row;
mod message;
mod negotiate_protocol_version;
mod notification;
mod parameter_status;
mod ready_for_query;
mod row_description;

pub(crate) use self::authentication::Authentication;
pub(crate) use self::data_row::DataRow;
pub(crate) use self::message::BackendMessage;
pub(crate) use self::negotiate_protocol_version::NegotiateProtocolVersion;
pub(crate) use self::notification::Notification;
pub(crate) use self::parameter_status::ParameterStatus;
pub(crate) use self::ready_for_query::TransactionStatus;
pub(crate) use self::row_description::RowDescription;
