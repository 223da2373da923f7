//! Pages of SQLite's trees, as its file format has them: of what kind a page is, and which rows
//! stand on it.

/// The kinds of pages of trees, by their first byte. Pages of no tree begin with the number of
/// another page, and are told apart by that as long as numbers stay below [`PAGES`].
pub(crate) const INDEX_INTERIOR: u8 = 2;

pub(crate) const TABLE_INTERIOR: u8 = 5;

pub(crate) const INDEX_LEAF: u8 = 10;

pub(crate) const TABLE_LEAF: u8 = 13;

pub(crate) const PAGES: u32 = 0x0200_0000;

/// What page 1 says of the pages of a database.
pub(crate) struct Header {
    /// How many bytes of a page are in use.
    pub(crate) usable: usize,
    /// The first page of the list of free pages; 0 where there is none.
    pub(crate) free: u32,
}

impl Header {
    /// `None` where pages do not tell by themselves what they are: there are too many, or some say
    /// where others are, as in auto_vacuum.
    pub(crate) fn of(first: &[u8]) -> Option<Self> {
        if be32(first, 28)? >= PAGES || be32(first, 52)? != 0 {
            return None;
        }
        let usable = first
            .len()
            .checked_sub(usize::from(*first.get(20)?))
            .filter(|&usable| usable >= 480)?;
        Some(Self {
            usable,
            free: be32(first, 32)?,
        })
    }
}

/// A row, or an entry of an index, on a page.
pub(crate) struct Cell {
    pub(crate) rowid: Option<i64>,
    /// The first of the pages on which it goes on.
    pub(crate) overflow: Option<u32>,
}

/// What a page of a tree holds; `None` where it is no such page after all. Of interior pages of
/// tables, which hold no row, see [`children`].
pub(crate) fn cells(page: &[u8], kind: u8, usable: usize) -> Option<Vec<Cell>> {
    let (pointers, child) = if kind == INDEX_INTERIOR {
        (12, 4)
    } else {
        (8, 0)
    };
    let most = if kind == TABLE_LEAF {
        usable - 35
    } else {
        (usable - 12) * 64 / 255 - 23
    };
    let least = (usable - 12) * 32 / 255 - 23;
    let count = usize::from(be16(page, 3)?);
    (0..count)
        .map(|i| {
            let mut at = usize::from(be16(page, pointers + 2 * i)?) + child;
            let payload = usize::try_from(varint(page, &mut at)?).ok()?;
            let rowid = if kind == TABLE_LEAF {
                Some(varint(page, &mut at)?)
            } else {
                None
            };
            let here = least + payload.saturating_sub(least) % (usable - 4);
            let overflow = if payload <= most {
                None
            } else {
                Some(be32(page, at + if here <= most { here } else { least })?)
            };
            Some(Cell { rowid, overflow })
        })
        .collect()
}

/// The pages right below an interior page; `None` where it is no such page after all.
pub(crate) fn children(page: &[u8]) -> Option<Vec<u32>> {
    let below =
        (0..usize::from(be16(page, 3)?)).map(|i| be32(page, usize::from(be16(page, 12 + 2 * i)?)));
    below.chain([be32(page, 8)]).collect()
}

pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// A number of 1 to 9 bytes, and moves on behind it.
fn varint(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let mut value = 0u64;
    for i in 0..9 {
        let byte = *bytes.get(*at)?;
        *at += 1;
        if i == 8 {
            return Some((value << 8 | u64::from(byte)).cast_signed());
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            break;
        }
    }
    Some(value.cast_signed())
}
