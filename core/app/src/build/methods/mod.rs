//! Compiles each method to one self-contained ESM file with a source map, by esbuild. What did not
//! change is not compiled again.

mod beside;
mod bundle;
mod earlier;
mod faults;
mod made_of;
mod metafile;
mod what;

use super::{
    Cancel, Entry, Result,
    disk::{self, At},
    esbuild::{Service, program},
    kept::Kept,
    path::is_script,
    sdk,
    workspaces::package_folder,
};
use crate::{AppError, Method};
use bundle::{Bundle, Bundler};
use earlier::Earlier;
use made_of::MadeOf;
use remy_db::internals::typescript::{self, Fault};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};
pub use what::{Compile, Compiled, Installs};

/// A method that is to be compiled, with the folder of its packages.
type Group<'a> = (Option<String>, Vec<&'a Method>);

impl Compile<'_> {
    /// Compiles what changed, and takes into the release what did not. `installs` learns which
    /// packages cannot be bundled. `on_method` is given each method when it is done.
    pub fn run(
        &self,
        installs: &mut Installs,
        kept: &mut Kept,
        cancel: Cancel<'_>,
        on_method: &dyn Fn(&Compiled),
    ) -> Result<Vec<Compiled>> {
        let folder = self.out.join("methods");
        fs::create_dir_all(&folder).at("making the folder", &folder)?;
        let mut made = Made {
            what: self,
            key: self.key(),
            done: BTreeMap::new(),
            on_method,
        };
        let (groups, mut faults) = made.take_earlier(installs)?;
        if !groups.is_empty() {
            let is_fine = faults.is_empty();
            faults.extend(made.compile((&groups, is_fine), installs, kept, cancel)?);
        }
        if !faults.is_empty() {
            return Err(AppError::does_not_build(faults::in_order(faults)));
        }
        let imports = made.done.values().flat_map(|(earlier, _)| &earlier.beside);
        beside::keep(imports, self, cancel)?;
        let mut done = made.done;
        let in_order = self
            .methods
            .iter()
            .filter_map(|method| done.remove(method.id.as_str()));
        Ok(in_order.map(|(_, compiled)| compiled).collect())
    }

    /// Of all that any bundle is made with.
    fn key(&self) -> String {
        let flags = bundle::flags(self.node).join("\n");
        let plans = typescript::PLAN_FORMAT.to_string();
        let of = [
            env!("CARGO_PKG_VERSION"),
            program::VERSION,
            &flags,
            sdk::hash(),
            &plans,
        ];
        disk::hash(of.join("\n"))
    }
}

/// What is done so far.
struct Made<'a> {
    what: &'a Compile<'a>,
    key: String,
    done: BTreeMap<&'a str, (Earlier, Compiled)>,
    on_method: &'a dyn Fn(&Compiled),
}

impl<'a> Made<'a> {
    /// Takes what earlier builds compiled. Returns the rest, and what is wrong with it.
    fn take_earlier(&mut self, installs: &Installs) -> Result<(Vec<Group<'a>>, Vec<Fault>)> {
        let what = self.what;
        let mut groups: Vec<Group<'_>> = Vec::new();
        let mut faults = Vec::new();
        for method in what.methods {
            if !what.files.contains_key(&method.path) {
                faults.push(faults::not_there(method));
                continue;
            }
            let key = self.key_of(method);
            let earlier = Earlier::read(what.cache, &method.id)
                .filter(|earlier| earlier.holds(&key, what.files, installs))
                .filter(|earlier| earlier.take(what, &method.id).is_ok_and(|taken| taken));
            if let Some(earlier) = earlier {
                self.settle(method, earlier, true);
                continue;
            }
            let folder = package_folder(what.files, &method.path);
            match groups.iter_mut().find(|(of, _)| *of == folder) {
                Some((_, group)) => group.push(method),
                None => groups.push((folder, vec![method])),
            }
        }
        Ok((groups, faults))
    }

    /// Compiles methods. Returns what is wrong with them. They are kept where nothing is, and all
    /// `is_fine` before.
    fn compile(
        &mut self,
        (groups, is_fine): (&[Group<'a>], bool),
        installs: &mut Installs,
        kept: &mut Kept,
        cancel: Cancel<'_>,
    ) -> Result<Vec<Fault>> {
        let what = self.what;
        // Of what is nested too deep the compiler's process dies, and says nothing that helps.
        let deep = nested_too_deep(what, kept, cancel)?;
        if !deep.is_empty() {
            return Err(AppError::does_not_build(deep));
        }
        let program = self.program(installs, cancel)?;
        kept.with_service(&program, cancel, |service| {
            self.bundle((groups, is_fine), installs, service, cancel)
        })
    }

    fn bundle(
        &mut self,
        (groups, is_fine): (&[Group<'a>], bool),
        installs: &mut Installs,
        service: &mut Service,
        cancel: Cancel<'_>,
    ) -> Result<Vec<Fault>> {
        let what = self.what;
        let mut faults = Vec::new();
        // One call for each folder with packages: what cannot be bundled is a matter of the folder.
        for (folder, group) in groups {
            let folder = folder.as_deref();
            let mut bundler = Bundler::new(what, service, installs, folder);
            let bundle = bundler.bundle(group, cancel)?;
            // esbuild looks at what is imported from where only when all files could be read: each by
            // itself, the others say what is wrong with them.
            if !bundle.faults.is_empty() && group.len() > 1 {
                for method in group {
                    faults.extend(bundler.bundle(&[method], cancel)?.faults);
                }
            }
            let mut bundle = bundle;
            faults.append(&mut bundle.faults);
            if is_fine && faults.is_empty() {
                self.keep(group, bundle, installs, folder)?;
            }
        }
        Ok(faults)
    }

    /// Writes the methods of a bundle.
    fn keep(
        &mut self,
        group: &[&'a Method],
        mut bundle: Bundle,
        installs: &Installs,
        folder: Option<&str>,
    ) -> Result<()> {
        for method in group {
            let key = self.key_of(method);
            let (mut code, map) = bundle.take(&method.id);
            if let Some(planned) = str::from_utf8(&code).ok().and_then(typescript::with_plans) {
                code = planned.into_bytes();
            }
            let of = MadeOf {
                what: self.what,
                bundle: &bundle,
                installs,
                folder,
            };
            let earlier = of.earlier(method, key, &code)?;
            earlier.write(self.what.cache, &method.id, &code, &map)?;
            earlier.take(self.what, &method.id)?;
            self.settle(method, earlier, false);
        }
        Ok(())
    }

    fn program(&self, installs: &Installs, cancel: Cancel<'_>) -> Result<PathBuf> {
        let tree = self.what.tree;
        let packages = installs
            .values()
            .map(|install| tree.join(&install.folder).join("node_modules"));
        program::find(self.what.esbuild, packages, self.what.cache, cancel)
    }

    fn key_of(&self, method: &Method) -> String {
        disk::hash([self.key.as_str(), &method.path, &method.export].join("\n"))
    }

    fn settle(&mut self, method: &'a Method, earlier: Earlier, reused: bool) {
        let compiled = Compiled {
            id: method.id.clone(),
            file: format!("methods/{}.mjs", method.id),
            bytes: earlier.bytes,
            warnings: earlier.warnings.clone(),
            unsupported: earlier.unsupported.clone(),
            variables: earlier.variables.clone(),
            made_of: earlier.hash(),
            reused,
        };
        (self.on_method)(&compiled);
        self.done.insert(&method.id, (earlier, compiled));
    }
}

/// The files that are nested too deep for a compiler.
fn nested_too_deep(what: &Compile<'_>, kept: &mut Kept, cancel: Cancel<'_>) -> Result<Vec<Fault>> {
    let sources = what.files.iter();
    let sources = sources.filter(|(file, _)| is_script(file) || file.ends_with(".json"));
    let named = |(file, entry): (&String, &Entry)| (file.clone(), entry.hash.clone());
    let all: BTreeSet<_> = sources.map(named).collect();
    let unknown = all.difference(&kept.not_too_deep);
    let deep = disk::together(unknown, cancel, |(file, _)| {
        Ok(typescript::nested_too_deep(what.tree, file.as_ref()))
    })?;
    let deep: Vec<_> = deep.into_iter().flatten().collect();
    if deep.is_empty() {
        kept.not_too_deep = all;
    }
    Ok(deep)
}
