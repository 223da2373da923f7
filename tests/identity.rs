//! Which release live is: by its switch, never by its number or a clock, and what the catalog does not know is set aside.
