//! A piece of a checkpoint, to bytes and back.

use std::sync::Arc;

use beatrix_core::catalog::{Piece, ServicePiece};
use beatrix_core::model::Revision;

use super::bytes::{Reader, put_len, put_number, put_option, put_text, unknown};
use super::instance::{Clusters, instance, layer_piece, put_instance, put_layer_piece, put_reason, reason};
use super::service::{
    Keys, namespace_info, put_key, put_namespace_info, put_settings, setting_value, settings,
};
use super::{DecodeError, VERSION};

/// Writes a piece.
pub fn put_piece(out: &mut Vec<u8>, piece: &Piece) {
    out.push(VERSION);
    match piece {
        Piece::Begin { as_of } => {
            out.push(0);
            put_number(out, as_of.0);
        }
        Piece::Namespace { namespace, info } => {
            out.push(1);
            put_text(out, namespace.as_str());
            put_namespace_info(out, info);
        }
        Piece::Setting { name, value } => {
            out.push(2);
            put_text(out, name.as_str());
            put_text(out, value);
        }
        Piece::Service(service) => {
            out.push(3);
            put_key(out, &service.key);
            put_number(out, service.as_of.0);
            put_number(out, service.revision.0);
            put_option(out, service.settings.as_deref(), put_settings);
            put_option(out, service.emptied_by, put_reason);
            put_len(out, service.layers.len());
            for layer in &service.layers {
                put_layer_piece(out, layer);
            }
        }
        Piece::Instances(instances) => {
            out.push(4);
            put_len(out, instances.len());
            for instance in instances {
                put_instance(out, instance);
            }
        }
    }
}

/// Reads the pieces of one checkpoint.
#[derive(Debug, Default)]
pub struct Pieces {
    keys: Keys,
    clusters: Clusters,
}

impl Pieces {
    /// Reads a piece, which takes all of `bytes`.
    ///
    /// # Errors
    /// If it is none, of an unknown version, or breaks a rule of the model.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Piece, DecodeError> {
        let from = &mut Reader::new(bytes);
        match from.byte()? {
            VERSION => {}
            other => return Err(unknown("the version", other)),
        }
        let piece = match from.byte()? {
            0 => Piece::Begin {
                as_of: Revision(from.number()?),
            },
            1 => Piece::Namespace {
                namespace: from.parsed()?,
                info: Arc::new(namespace_info(from)?),
            },
            2 => Piece::Setting {
                name: from.parsed()?,
                value: setting_value(from)?,
            },
            3 => Piece::Service(Box::new(self.service(from)?)),
            4 => {
                let count = from.count()?;
                let instances = (0..count).map(|_| instance(from, &mut self.clusters));
                Piece::Instances(instances.collect::<Result<_, _>>()?)
            }
            other => return Err(unknown("the piece", other)),
        };
        from.end()?;
        Ok(piece)
    }

    fn service(&mut self, from: &mut Reader<'_>) -> Result<ServicePiece, DecodeError> {
        Ok(ServicePiece {
            key: self.keys.read(from)?,
            as_of: Revision(from.number()?),
            revision: Revision(from.number()?),
            settings: from.option(settings)?.map(Arc::new),
            emptied_by: from.option(reason)?,
            layers: {
                let count = from.count()?;
                let layers = (0..count).map(|_| layer_piece(from));
                layers.collect::<Result<_, _>>()?
            },
        })
    }
}
