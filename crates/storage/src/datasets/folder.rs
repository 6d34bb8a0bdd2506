//! Several files as one source: of one form, with the same columns, one after the other.

use caudal_core::job::{SkippedColumn, SourceDescription};
use caudal_core::request::SourceFormat;
use caudal_core::{Error, ErrorKind, Faults, Result};

use super::columns::{Offered, agree};
use super::form::Form;
use super::located::Item;
use super::{Reading, form_of, open_one, parquet};
use crate::source::{Growing, Keeper, Room, Source};

/// Opens the files of a folder.
///
/// # Errors
/// `InvalidData` where they are of different forms or have different columns, naming the file, and what reading each
/// of them may end with.
pub fn open(items: Vec<Item>, reading: &Reading<'_>) -> Result<Source> {
    let Some(first) = items.first() else { return Err(super::no_rows()) };
    match form_of(first, reading.format).map_err(|error| in_file(error, &first.name))? {
        Form::Parquet => parquet::open(items, reading),
        form => gathered(&items, form, reading),
    }
}

/// A fault with the file in which it lies.
pub fn in_file(mut error: Error, file: &str) -> Error {
    for fault in &mut error.faults.first {
        fault.pointer = format!("{file}: {}", fault.pointer);
    }
    error.detail = match error.faults.is_empty() {
        true => format!("{file}: {}", error.detail),
        false => error.faults.summary(),
    };
    error
}

/// # Errors
/// `InvalidData` where a file is of another form than the first.
pub fn check_form(item: &Item, first: &Item, form: Form, asked: Option<SourceFormat>) -> Result<()> {
    let found = form_of(item, asked)?;
    if found.name() == form.name() {
        return Ok(());
    }
    let detail = format!("it is {}, and {} is {}; expected one form", found.name(), first.name, form.name());
    Err(Error::new(ErrorKind::InvalidData, detail))
}

fn gathered(items: &[Item], form: Form, reading: &Reading<'_>) -> Result<Source> {
    // One half for the file that is read, one for what is gathered.
    let Room { memory, spill } = reading.room.clone();
    let room = Room { memory: memory / 2, spill };
    let mut gathered: Option<Gathered> = None;
    let (mut faults, mut bytes_before) = (Faults::default(), 0);
    for item in items {
        let of_file = Reading { size: item.size, bytes_before, room: room.clone(), ..reading.clone() };
        let source = check_form(item, &items[0], form, reading.format)
            .and_then(|()| open_one(item, form_of(item, reading.format)?, &of_file))
            .map_err(|error| in_file(error, &item.name))?;
        bytes_before += item.size;
        // What a file without rows says of its columns is no more than their names.
        if source.rows() == 0 {
            continue;
        }
        match &mut gathered {
            None => {
                let begun = gathered.insert(Gathered::begin(item, &source, &room));
                begun.add(&source, reading, bytes_before)?;
            }
            Some(gathered) => {
                let first = (gathered.file.as_str(), gathered.offered.as_slice());
                agree(first, (&item.name, &offered(&source.describe())), reading.columns, &mut faults);
                if faults.is_empty() {
                    gathered.add(&source, reading, bytes_before)?;
                }
            }
        }
    }
    match gathered {
        _ if !faults.is_empty() => Err(Error::from_faults(ErrorKind::InvalidData, faults)),
        Some(gathered) => gathered.finish(reading),
        None => Err(super::no_rows()),
    }
}

/// Columns gathered file by file.
struct Gathered {
    /// The first file with rows, and what it offers.
    file: String,
    offered: Vec<Offered>,
    origin: SourceDescription,
    columns: Vec<Growing>,
    keeper: Keeper,
}

impl Gathered {
    fn begin(item: &Item, source: &Source, room: &Room) -> Gathered {
        let origin = source.describe();
        let columns = origin.columns.iter().map(|column| Growing::new(&column.name, &column.data_type));
        Gathered {
            file: item.name.clone(),
            offered: offered(&origin),
            columns: columns.collect(),
            keeper: Keeper::new(room.clone()),
            origin: SourceDescription { rows: 0, ..origin },
        }
    }

    /// Adds the rows of a file, whose columns may stand in another order.
    fn add(&mut self, source: &Source, reading: &Reading<'_>, bytes: u64) -> Result<()> {
        let place = |column: &Growing| source.names().position(|name| name == column.name);
        let places: Option<Vec<usize>> = self.columns.iter().map(place).collect();
        let places = places.ok_or_else(|| Error::new(ErrorKind::Internal, "a column of a file is gone"))?;
        let mut readers =
            places.iter().map(|at| source.reader(*at, 0..source.rows())).collect::<Result<Vec<_>>>()?;
        for block in 0..source.blocks() {
            let rows = source.block(block);
            for (column, reader) in self.columns.iter_mut().zip(&mut readers) {
                let before = reader.inexact_integers();
                reader.fill(column.extend((rows.end - rows.start) as usize))?;
                column.inexact_integers += reader.inexact_integers() - before;
            }
            let held = self.columns.iter().map(Growing::bytes).sum();
            if self.keeper.is_full(held) {
                reading.input.cancel.check()?;
                let share = bytes.max(1) as f64 / reading.size.max(1) as f64;
                self.keeper.relieve(self.columns.iter_mut(), (held as f64 / share) as u64)?;
            }
        }
        self.origin.rows += source.rows();
        Ok(())
    }

    fn finish(self, reading: &Reading<'_>) -> Result<Source> {
        self.keeper.finish(self.columns, SourceDescription { bytes_read: reading.size, ..self.origin })
    }
}

fn offered(description: &SourceDescription) -> Vec<Offered> {
    let taken = description.columns.iter().map(|column| Offered {
        name: column.name.clone(),
        data_type: column.data_type.clone(),
        unfit: None,
    });
    let left = description.skipped.iter().map(|column: &SkippedColumn| Offered {
        name: column.name.clone(),
        data_type: column.data_type.clone(),
        unfit: Some(column.reason.clone()),
    });
    taken.chain(left).collect()
}
