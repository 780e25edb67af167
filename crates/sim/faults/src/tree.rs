//! The files of a simulated machine: contents by path, and links.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Files below the root, by path without a first slash.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, Vec<u8>>,
    links: BTreeMap<String, String>,
}

impl Tree {
    /// Puts a file.
    pub fn put(&mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.files.insert(path.into(), content.into());
    }

    /// Puts a link.
    pub fn link(&mut self, path: impl Into<String>, target: impl Into<String>) {
        self.links.insert(path.into(), target.into());
    }

    /// Removes a file, or everything below a folder.
    pub fn remove(&mut self, path: &str) {
        let below = format!("{path}/");
        self.files.retain(|name, _| name != path && !name.starts_with(&below));
        self.links.retain(|name, _| name != path && !name.starts_with(&below));
    }

    /// A file's content.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// Where a link leads.
    #[must_use]
    pub fn target(&self, path: &str) -> Option<&str> {
        self.links.get(path).map(String::as_str)
    }

    /// Files below a folder, in the order of their paths.
    pub fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.files
            .range(folder.to_owned()..)
            .take_while(move |(path, _)| path.starts_with(folder))
            .map(|(path, content)| (path.as_str(), content.as_slice()))
    }

    /// The names in a folder, in their order; the folder's path ends with a slash.
    #[must_use]
    pub fn names<'a>(&'a self, folder: &'a str) -> Vec<&'a str> {
        let mut names: Vec<&str> = self
            .below(folder)
            .filter_map(|(path, _)| path.strip_prefix(folder)?.split('/').next())
            .collect();
        names.dedup();
        names
    }

    /// Makes a directory hold this tree and nothing else of what an earlier tree put there. Files
    /// are written in place, as the kernel does; what did not change is left alone.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, root: &Path, before: &Self) -> io::Result<()> {
        for path in before.files.keys().filter(|path| !self.files.contains_key(*path)) {
            std::fs::remove_file(root.join(path))?;
            let mut folder = Path::new(path).parent();
            // A device that is gone leaves no folder.
            while let Some(empty) = folder.filter(|folder| !folder.as_os_str().is_empty()) {
                if std::fs::remove_dir(root.join(empty)).is_err() {
                    break;
                }
                folder = empty.parent();
            }
        }
        for path in before.links.keys().filter(|path| !self.links.contains_key(*path)) {
            let _ = std::fs::remove_file(root.join(path));
        }
        for (path, content) in &self.files {
            match before.files.get(path) {
                Some(old) if old == content => {}
                Some(_) => std::fs::write(root.join(path), content)?,
                None => {
                    let path = root.join(path);
                    path.parent().map(std::fs::create_dir_all).transpose()?;
                    std::fs::write(path, content)?;
                }
            }
        }
        for (path, target) in
            self.links.iter().filter(|(path, target)| before.links.get(*path) != Some(target))
        {
            let path = root.join(path);
            path.parent().map(std::fs::create_dir_all).transpose()?;
            let _ = std::fs::remove_file(&path);
            std::os::unix::fs::symlink(target, path)?;
        }
        Ok(())
    }
}
