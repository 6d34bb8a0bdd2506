//! Hands out stored normalised data in the form that a client asks for, a part at a time.

use std::ops::Range;

use arrow::ipc::writer::StreamWriter;
use async_trait::async_trait;
use bytes::Bytes;
use caudal_core::export::{Addresses, Export, ExportFormat, NormalizedData, StoredObject};
use caudal_core::request::OutputFormat;
use caudal_core::{JobId, Result};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;

use super::encode::{self, Slice};
use super::{Manifest, Stored, part_key, text};
use crate::bucket::failed;
use crate::datasets::Datasets;
use crate::keys;

type Body = BoxStream<'static, Result<Bytes>>;

#[async_trait]
impl NormalizedData for Datasets {
    async fn export(&self, job: JobId, format: Option<ExportFormat>) -> Result<Export> {
        match self.stored(job).await? {
            Stored::Document(content) => self.export_document(job, format, content).await,
            Stored::Parts(manifest) => self.export_parts(job, format, manifest).await,
        }
    }

    async fn read_range(&self, object: &StoredObject, range: Range<u64>) -> Result<Bytes> {
        let key = Path::from(object.key.as_str());
        self.bucket.store().get_range(&key, range).await.map_err(|e| failed("read", &key, e))
    }

    fn addresses(&self) -> Option<&dyn Addresses> {
        self.bucket.gives_addresses().then_some(self as &dyn Addresses)
    }
}

impl Datasets {
    async fn export_document(
        &self,
        job: JobId,
        format: Option<ExportFormat>,
        content: Bytes,
    ) -> Result<Export> {
        let size = content.len() as u64;
        let format = format.unwrap_or(ExportFormat::Json);
        if format == ExportFormat::Json {
            let stored = StoredObject { key: keys::normalized_json(job).to_string(), size };
            return Ok(whole(format, content, Some(stored)));
        }
        let converted = super::encoded(move || {
            let table = super::read_document(&content)?;
            let columns: Vec<Slice<'_>> =
                table.columns.iter().map(|c| (c.name.as_str(), c.values.as_slice())).collect();
            let mut writer = Writer::begin(format, &columns)?;
            let mut out = writer.rows(&columns)?;
            out.extend(writer.end()?);
            Ok(out)
        });
        Ok(whole(format, converted.await?.into(), None))
    }

    async fn export_parts(
        &self,
        job: JobId,
        format: Option<ExportFormat>,
        manifest: Manifest,
    ) -> Result<Export> {
        let native = match manifest.format {
            OutputFormat::Json => Some(ExportFormat::Ndjson),
            OutputFormat::Csv => Some(ExportFormat::Csv),
            OutputFormat::Parquet => Some(ExportFormat::Parquet),
            // Parts are Arrow files, answers are Arrow streams.
            OutputFormat::Arrow => None,
        };
        let format = format.or(native).unwrap_or(ExportFormat::Arrow);
        let stored = match manifest.parts.as_slice() {
            [one] if native == Some(format) => {
                Some(StoredObject { key: part_key(job, one).to_string(), size: one.bytes })
            }
            _ => self.exported(job, format).await?,
        };
        let body = match (&stored, format) {
            (Some(object), _) => self.copy_of(object.clone()),
            (None, ExportFormat::Json) => self.column_by_column(job, manifest),
            (None, _) => self.part_by_part(job, manifest, format),
        };
        Ok(Export { format, length: stored.as_ref().map(|object| object.size), stored, body })
    }

    fn copy_of(&self, object: StoredObject) -> Body {
        let (store, key) = (self.bucket.store().clone(), Path::from(object.key));
        let content = async move {
            let found = store.get(&key).await.map_err(|e| failed("read", &key, e))?;
            let stream = found.into_stream().map(move |chunk| chunk.map_err(|e| failed("read", &key, e)));
            Ok::<_, caudal_core::Error>(stream)
        };
        stream::once(content)
            .flat_map(|opened| match opened {
                Ok(stream) => stream.left_stream(),
                Err(error) => stream::iter([Err(error)]).right_stream(),
            })
            .boxed()
    }

    /// Forms in which rows follow rows.
    fn part_by_part(&self, job: JobId, manifest: Manifest, format: ExportFormat) -> Body {
        let datasets = self.clone();
        let begin = State { writer: None, next: 0 };
        stream::try_unfold(begin, move |mut state| {
            let (datasets, manifest) = (datasets.clone(), manifest.clone());
            async move {
                let names = || manifest.columns.iter().map(String::as_str);
                if state.next > manifest.parts.len() {
                    return Ok(None);
                }
                let out = match manifest.parts.get(state.next) {
                    Some(part) => {
                        let values = datasets.part(job, &manifest, part).await?;
                        let columns: Vec<Slice<'_>> = names().zip(values.iter().map(Vec::as_slice)).collect();
                        let mut writer = match state.writer.take() {
                            Some(writer) => writer,
                            None => Writer::begin(format, &columns)?,
                        };
                        let out = writer.rows(&columns)?;
                        state.writer = Some(writer);
                        out
                    }
                    None => state.writer.take().map_or_else(|| Ok(Vec::new()), Writer::end)?,
                };
                state.next += 1;
                Ok(Some((Bytes::from(out), state)))
            }
        })
        .boxed()
    }

    /// One JSON document holds whole columns, so each goes through all parts.
    fn column_by_column(&self, job: JobId, manifest: Manifest) -> Body {
        let datasets = self.clone();
        let parts = manifest.parts.len().max(1);
        let steps =
            (0..manifest.columns.len()).flat_map(move |column| (0..parts).map(move |part| (column, part)));
        let last = (manifest.columns.len().saturating_sub(1), parts - 1);
        stream::iter(steps)
            .then(move |(column, part)| {
                let (datasets, manifest) = (datasets.clone(), manifest.clone());
                async move {
                    let values = match manifest.parts.get(part) {
                        Some(part) => datasets.part(job, &manifest, part).await?.swap_remove(column),
                        None => Vec::new(),
                    };
                    let mut out = Vec::new();
                    match (column, part) {
                        (0, 0) => out.extend_from_slice(b"{\"columns\":{"),
                        (_, 0) => out.extend_from_slice(b"],"),
                        _ => out.push(b','),
                    }
                    if part == 0 {
                        out.extend_from_slice(text::json_name(&manifest.columns[column]).as_bytes());
                        out.extend_from_slice(b":[");
                    }
                    out.extend_from_slice(&text::json_elements(&values));
                    if (column, part) == last {
                        out.extend_from_slice(b"]}}");
                    }
                    Ok(Bytes::from(out))
                }
            })
            .boxed()
    }
}

fn whole(format: ExportFormat, content: Bytes, stored: Option<StoredObject>) -> Export {
    let length = Some(content.len() as u64);
    Export { format, length, stored, body: stream::iter([Ok(content)]).boxed() }
}

struct State {
    writer: Option<Writer>,
    next: usize,
}

/// Writes rows behind rows in one form, and gives out what it has written so far.
enum Writer {
    Ndjson,
    Csv { header: bool },
    Json,
    Arrow(Box<StreamWriter<Vec<u8>>>),
    Parquet(Box<ArrowWriter<Vec<u8>>>),
}

impl Writer {
    /// By the first rows that are going to be written.
    fn begin(format: ExportFormat, columns: &[Slice<'_>]) -> Result<Writer> {
        let schema = encode::schema(columns.iter().map(|(name, _)| *name));
        match format {
            ExportFormat::Json => Ok(Writer::Json),
            ExportFormat::Ndjson => Ok(Writer::Ndjson),
            ExportFormat::Csv => Ok(Writer::Csv { header: true }),
            ExportFormat::Arrow => StreamWriter::try_new(Vec::new(), &schema)
                .map(|writer| Writer::Arrow(Box::new(writer)))
                .map_err(|e| encode::unwritable(&e)),
            ExportFormat::Parquet => {
                ArrowWriter::try_new(Vec::new(), schema, Some(encode::parquet_properties(repeating(columns))))
                    .map(|writer| Writer::Parquet(Box::new(writer)))
                    .map_err(|e| encode::unwritable(&e))
            }
        }
    }

    fn rows(&mut self, columns: &[Slice<'_>]) -> Result<Vec<u8>> {
        let batch = || {
            let schema = encode::schema(columns.iter().map(|(name, _)| *name));
            let values = columns.iter().map(|(_, values)| values.to_vec()).collect();
            encode::batch(&schema, values).map_err(|e| encode::unwritable(&e))
        };
        match self {
            Writer::Json => Ok(text::json_document(columns)),
            Writer::Ndjson => Ok(text::ndjson(columns)),
            Writer::Csv { header } => Ok(text::csv(columns, std::mem::take(header))),
            Writer::Arrow(writer) => {
                writer.write(&batch()?).map_err(|e| encode::unwritable(&e))?;
                Ok(std::mem::take(writer.get_mut()))
            }
            Writer::Parquet(writer) => {
                writer.write(&batch()?).and_then(|()| writer.flush()).map_err(|e| encode::unwritable(&e))?;
                Ok(std::mem::take(writer.inner_mut()))
            }
        }
    }

    fn end(self) -> Result<Vec<u8>> {
        match self {
            Writer::Json | Writer::Ndjson | Writer::Csv { .. } => Ok(Vec::new()),
            Writer::Arrow(writer) => writer.into_inner().map_err(|e| encode::unwritable(&e)),
            Writer::Parquet(writer) => writer.into_inner().map_err(|e| encode::unwritable(&e)),
        }
    }
}

/// The columns that are written with a dictionary.
fn repeating<'a>(columns: &[Slice<'a>]) -> impl Iterator<Item = &'a str> {
    columns.iter().filter(|(_, values)| encode::repeats(values)).map(|(name, _)| *name)
}
