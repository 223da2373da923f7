//! What is said between esbuild's service and who started it: packets of values, each packet with
//! its length before it. Numbers are four bytes, the lowest first.

use std::collections::BTreeMap;

/// Values are nested no deeper than a message with its notes and their places. What is nested deeper
/// is no packet of esbuild's.
const DEEPEST: usize = 32;

/// A value of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Flag(bool),
    Number(i32),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// A map of these.
    pub fn map<const N: usize>(entries: [(&str, Self); N]) -> Self {
        let entries = entries.map(|(key, value)| (key.to_owned(), value));
        Self::Map(BTreeMap::from(entries))
    }

    /// A list of texts.
    pub fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self::List(texts.into_iter().map(Self::from).collect())
    }

    /// The value of a key; nothing where this is no map, or has none.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(entries) => entries.get(key),
            _ => None,
        }
    }

    /// The text of a key; none is the empty one.
    pub fn text(&self, key: &str) -> &str {
        match self.get(key) {
            Some(Self::Text(text)) => text,
            _ => "",
        }
    }

    /// The number of a key, which is never below 0; none is 0.
    pub fn number(&self, key: &str) -> usize {
        match self.get(key) {
            Some(Self::Number(number)) => usize::try_from(*number).unwrap_or_default(),
            _ => 0,
        }
    }

    /// The list of a key; none is an empty one.
    pub fn list(&self, key: &str) -> &[Self] {
        match self.get(key) {
            Some(Self::List(list)) => list,
            _ => &[],
        }
    }

    fn write(&self, to: &mut Vec<u8>) {
        match self {
            Self::Null => to.push(0),
            Self::Flag(flag) => to.extend([1, u8::from(*flag)]),
            Self::Number(number) => {
                to.push(2);
                to.extend(number.to_le_bytes());
            }
            Self::Text(text) => {
                to.push(3);
                write_bytes(text.as_bytes(), to);
            }
            Self::Bytes(bytes) => {
                to.push(4);
                write_bytes(bytes, to);
            }
            Self::List(list) => {
                to.push(5);
                write_length(list.len(), to);
                list.iter().for_each(|value| value.write(to));
            }
            Self::Map(entries) => {
                to.push(6);
                write_length(entries.len(), to);
                for (key, value) in entries {
                    write_bytes(key.as_bytes(), to);
                    value.write(to);
                }
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// A request, or the answer to one, which has its number.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub id: u32,
    pub is_request: bool,
    pub value: Value,
}

impl Packet {
    /// The packet as bytes, its length before it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; 4];
        bytes.extend((self.id << 1 | u32::from(!self.is_request)).to_le_bytes());
        self.value.write(&mut bytes);
        let length = length(bytes.len() - 4);
        bytes[..4].copy_from_slice(&length);
        bytes
    }

    /// Reads all that stands behind a packet's length. Nothing, where that is no packet.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let mut rest = Rest(bytes);
        let id = rest.number()?;
        let value = rest.value(DEEPEST)?;
        rest.0.is_empty().then_some(Self {
            id: id >> 1,
            is_request: id & 1 == 0,
            value,
        })
    }
}

/// No packet has 4 GiB: its texts are flags and the SDK's own modules.
fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes()
}

fn write_length(bytes: usize, to: &mut Vec<u8>) {
    to.extend(length(bytes));
}

fn write_bytes(bytes: &[u8], to: &mut Vec<u8>) {
    write_length(bytes.len(), to);
    to.extend(bytes);
}

/// What is still to be read. No length or count in it is trusted.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*number))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<String> {
        Some(String::from_utf8_lossy(self.bytes()?).into_owned())
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        Some(match self.byte()? {
            0 => Value::Null,
            1 => Value::Flag(self.byte()? != 0),
            2 => Value::Number(self.number()?.cast_signed()),
            3 => Value::Text(self.text()?),
            4 => Value::Bytes(self.bytes()?.to_vec()),
            5 => {
                let values = (0..self.number()?).map(|_| self.value(depth));
                Value::List(values.collect::<Option<_>>()?)
            }
            6 => {
                let entries = (0..self.number()?).map(|_| Some((self.text()?, self.value(depth)?)));
                Value::Map(entries.collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> Packet {
        let value = Value::map([
            ("text", Value::from("é")),
            ("list", Value::texts(["a", ""])),
            ("flag", Value::Flag(true)),
            ("none", Value::Null),
            ("number", Value::Number(-1)),
            ("bytes", Value::Bytes(vec![0, 255])),
        ]);
        Packet {
            id: 7,
            is_request: true,
            value,
        }
    }

    #[test]
    fn a_packet_is_read_as_it_was_written() {
        let bytes = packet().to_bytes();
        assert_eq!(
            &bytes[..8],
            [u8::try_from(bytes.len() - 4).unwrap(), 0, 0, 0, 14, 0, 0, 0]
        );
        assert_eq!(Packet::of(&bytes[4..]), Some(packet()));
    }

    #[test]
    fn what_is_cut_or_wrong_is_no_packet() {
        let bytes = packet().to_bytes();
        for end in 4..bytes.len() {
            assert_eq!(Packet::of(&bytes[4..end]), None, "cut at {end}");
        }
        assert_eq!(
            Packet::of(&[&bytes[4..], &[0]].concat()),
            None,
            "one byte more"
        );
        for wrong in [
            &[0, 0, 0, 0, 7][..],
            &[0, 0, 0, 0, 3, 255, 255, 255, 255],
            &[0, 0, 0, 0, 5, 255, 255, 255, 255],
            &[0, 0, 0, 0, 6, 255, 255, 255, 255, 0],
            &[&[0; 4][..], &[5, 1, 0, 0, 0].repeat(100_000)].concat(),
        ] {
            assert_eq!(Packet::of(wrong), None, "{:?}", &wrong[..5]);
        }
    }
}
