//! What a type is: names followed, utility types and generics evaluated, one level at a time.
//!
//! A type that is not asked for is not looked at, so that one that cannot be resolved spoils only
//! what needs it, and a type that contains itself ends.

mod builtin;
mod enums;
mod model;
mod names;
mod values;
mod written;

use crate::typescript::files::{File, Files};
pub(super) use model::{Object, Property, Site, Thunk, Type};
use model::{TypeParameters, unresolved};
use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    rc::Rc,
};

/// How many types may be looked at for one table or method. Types that grow without end stop here.
const BUDGET: u32 = 50_000;

/// How deep types may refer to each other.
const DEPTH: u32 = 80;

/// How many of the types within a column's are looked through. Each is a step down at most, so that
/// the stack holds them.
const WITHIN: usize = 2_000;

/// A name in a type that nobody declares, and where it stands.
pub(super) struct Undeclared<'a> {
    pub name: String,
    pub file: Rc<File<'a>>,
    pub at: u32,
}

/// Evaluates types.
pub(super) struct Types<'f, 'a> {
    pub files: &'f Files<'a>,
    left: Cell<u32>,
    depth: Cell<u32>,
    undeclared: RefCell<Vec<Undeclared<'a>>>,
    /// What type parameters meant so far. A key has the address, which is another's once they are
    /// dropped.
    parameters: RefCell<Vec<Rc<TypeParameters<'a>>>>,
}

impl<'f, 'a> Types<'f, 'a> {
    pub fn new(files: &'f Files<'a>) -> Self {
        Self {
            files,
            left: Cell::new(BUDGET),
            depth: Cell::new(0),
            undeclared: RefCell::default(),
            parameters: RefCell::default(),
        }
    }

    /// Looks at a type.
    pub fn head(&self, thunk: &Thunk<'a>) -> Type<'a> {
        if self.left.get() == 0 || self.depth.get() >= DEPTH {
            return unresolved("it refers to itself, or is too large to follow");
        }
        self.left.set(self.left.get() - 1);
        self.depth.set(self.depth.get() + 1);
        let head = match thunk {
            Thunk::Node(node, site) => self.node(node, site),
            Thunk::Value(expression, site, narrow) => self.value(expression, site, *narrow),
            Thunk::Named(named) => self.named_type(named),
            Thunk::Known(of) => (**of).clone(),
            Thunk::All(parts) => self.intersection(parts),
        };
        self.depth.set(self.depth.get() - 1);
        head
    }

    /// The members of a union, of unions in it too, or the one type that it is.
    pub fn members(&self, thunk: &Thunk<'a>) -> Vec<Type<'a>> {
        let mut all = Vec::new();
        self.add_members(thunk, &mut all, &mut Vec::new());
        all
    }

    fn add_members(&self, thunk: &Thunk<'a>, all: &mut Vec<Type<'a>>, within: &mut Vec<String>) {
        let key = thunk.key();
        if within.contains(&key) || within.len() >= DEPTH as usize {
            return all.push(unresolved("it refers to itself, or is too large to follow"));
        }
        match self.head(thunk) {
            Type::Union(members) => {
                within.push(key);
                members
                    .iter()
                    .for_each(|member| self.add_members(member, all, within));
                within.pop();
            }
            one => all.push(one),
        }
    }

    /// Looks at all that a type is made of, for the sake of the names in it. `seen` is what was
    /// looked at.
    pub fn look_through(&self, thunk: &Thunk<'a>, seen: &mut HashSet<String>) {
        if seen.len() >= WITHIN || !seen.insert(thunk.key()) {
            return;
        }
        match self.head(thunk) {
            Type::Array(of) => self.look_through(&of, seen),
            Type::Tuple(elements) => elements
                .iter()
                .for_each(|element| self.look_through(&element.of, seen)),
            Type::Union(members) => members
                .iter()
                .for_each(|member| self.look_through(member, seen)),
            Type::Object(object) => {
                object
                    .properties
                    .iter()
                    .for_each(|property| self.look_through(&property.of, seen));
                object
                    .index
                    .iter()
                    .for_each(|of| self.look_through(of, seen));
            }
            _ => {}
        }
    }

    /// The names that were met since it was last asked, and that nobody declares.
    pub fn take_undeclared(&self) -> Vec<Undeclared<'a>> {
        self.undeclared.take()
    }
}
