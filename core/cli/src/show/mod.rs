//! Values as people read them.

pub mod advice;
pub mod grid;
pub mod plan;
pub mod table;
pub mod text;
