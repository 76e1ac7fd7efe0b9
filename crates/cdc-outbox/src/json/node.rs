//! A JSON document in memory.

use std::borrow::Cow;
use std::collections::HashMap;

/// A value, with the kinds of numbers that Jackson tells apart.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node<'a> {
    Null,
    Boolean(bool),
    Int(i32),
    Long(i64),
    /// An integer of more than 64 bits.
    BigInteger,
    Double(f64),
    /// UTF-8, with lone surrogates as three bytes each.
    Text(Cow<'a, [u8]>),
    Array(Vec<Node<'a>>),
    Object(Object<'a>),
}

/// Members in the order in which their names came first; of two values for a name the last one counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Object<'a> {
    members: Vec<(Cow<'a, [u8]>, Node<'a>)>,
    /// Where each name stands, once there are many.
    index: HashMap<Cow<'a, [u8]>, usize>,
}

/// Up to this many members, looking at each is quicker than hashing.
const FEW: usize = 8;

impl<'a> Object<'a> {
    pub(crate) fn insert(&mut self, name: Cow<'a, [u8]>, value: Node<'a>) {
        if let Some(at) = self.position(&name) {
            self.members[at].1 = value;
            return;
        }
        if self.members.len() >= FEW {
            if self.index.is_empty() {
                let names = self.members.iter().enumerate();
                self.index = names.map(|(at, (name, _))| (name.clone(), at)).collect();
            }
            self.index.insert(name.clone(), self.members.len());
        }
        self.members.push((name, value));
    }

    pub(crate) fn get(&self, name: &[u8]) -> Option<&Node<'a>> {
        self.position(name).map(|at| &self.members[at].1)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &Node<'a>)> {
        self.members
            .iter()
            .map(|(name, value)| (name.as_ref(), value))
    }

    fn position(&self, name: &[u8]) -> Option<usize> {
        if self.index.is_empty() {
            self.members.iter().position(|(known, _)| **known == *name)
        } else {
            self.index.get(name).copied()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_name_keeps_its_place_and_takes_the_last_value() {
        for count in [3, 100] {
            let mut object = Object::default();
            let names: Vec<Vec<u8>> = (0..count).map(|n: i32| n.to_string().into()).collect();
            for value in [1, 2] {
                for name in &names {
                    object.insert(Cow::Borrowed(name), Node::Int(value));
                }
            }
            let order: Vec<_> = object.iter().map(|(name, _)| name.to_vec()).collect();
            assert_eq!(order, names);
            assert!(object.iter().all(|(_, value)| *value == Node::Int(2)));
            assert_eq!(object.get(b"1"), Some(&Node::Int(2)));
            assert_eq!(object.get(b"no"), None);
        }
    }
}
