//! What Parquet files say of themselves: columns, rows, and whether they agree.
package caudal;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.parquet.hadoop.ParquetFileReader;
import org.apache.parquet.hadoop.util.HadoopInputFile;
import org.apache.parquet.schema.LogicalTypeAnnotation;
import org.apache.parquet.schema.PrimitiveType;
import org.apache.parquet.schema.Type;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.util.SerializableConfiguration;

final class Footers {
    /** Files from which on their footers are read by the executors. */
    private static final int MANY = 16;
    private static final String DATES = "dates and times are not numbers";
    private static final String BINARY = "binary data is not numbers";

    private Footers() {}

    /** One file. */
    static final class Footer implements Serializable {
        private static final long serialVersionUID = 1;
        String file;
        List<Column> columns = new ArrayList<>();
        long rows;
        String fault;
    }

    /** Reads the footers of all files, in order; every file that cannot be read is told. */
    static List<Footer> read(JavaSparkContext sc, List<FileStatus> files) {
        List<String> paths = files.stream().map(f -> f.getPath().toString()).collect(Collectors.toList());
        List<Footer> footers = new ArrayList<>();
        if (paths.size() < MANY) {
            paths.forEach(path -> footers.add(read(path, sc.hadoopConfiguration())));
        } else {
            Broadcast<SerializableConfiguration> conf = sc.broadcast(new SerializableConfiguration(sc.hadoopConfiguration()));
            int tasks = Math.min(paths.size(), sc.defaultParallelism() * 2);
            footers.addAll(sc.parallelize(paths, tasks).map(path -> read(path, conf.value().value())).collect());
        }
        List<Fault.Place> faults = footers.stream().filter(f -> f.fault != null)
            .map(f -> new Fault.Place(f.fault, f.file, null, null)).collect(Collectors.toList());
        if (!faults.isEmpty()) {
            throw new Fault("invalid_data", faults, faults.size(),
                "is the file complete? A Parquet file ends with its footer, which a cut-off copy lacks");
        }
        return footers;
    }

    private static Footer read(String path, Configuration conf) {
        Footer footer = new Footer();
        footer.file = path;
        try (ParquetFileReader reader = ParquetFileReader.open(HadoopInputFile.fromPath(new Path(path), conf))) {
            footer.rows = reader.getRecordCount();
            for (Type field : reader.getFooter().getFileMetaData().getSchema().getFields()) {
                footer.columns.add(column(field));
            }
        } catch (java.io.IOException | RuntimeException e) {
            footer.fault = "the Parquet file cannot be read: " + reason(e);
        }
        return footer;
    }

    private static String reason(Throwable e) {
        String message = e.getMessage() == null ? e.toString() : e.getMessage();
        return message.split("\n")[0];
    }

    /** Checks that every file has the columns of the first, in the same types; only the named ones where some are named. */
    static void check(List<Footer> footers, List<String> named) {
        Footer first = footers.get(0);
        List<Fault.Place> faults = new ArrayList<>();
        Map<String, Column> expected = byName(first);
        for (Footer footer : footers.subList(1, footers.size())) {
            Map<String, Column> found = byName(footer);
            for (Column column : first.columns) {
                if (named == null ? column.unfit == null : named.contains(column.name)) {
                    compare(column, found.get(column.name), footer.file, first.file, faults);
                }
            }
            for (Column column : footer.columns) {
                if (named == null && column.unfit == null && !expected.containsKey(column.name)) {
                    faults.add(new Fault.Place("the column \"" + column.name + "\" is not in " + first.file, footer.file, null, column.name));
                }
            }
        }
        if (!faults.isEmpty()) {
            throw new Fault("invalid_data", faults, faults.size(), "process files of other columns in another job, or name the columns to process");
        }
    }

    private static void compare(Column column, Column found, String file, String first, List<Fault.Place> faults) {
        if (found == null) {
            faults.add(new Fault.Place("the column \"" + column.name + "\" is missing; " + first + " has it", file, null, column.name));
        } else if (!found.type.equals(column.type)) {
            faults.add(new Fault.Place("expected " + column.type + " as in " + first + ", found " + found.type, file, null, column.name));
        }
    }

    private static Map<String, Column> byName(Footer footer) {
        Map<String, Column> columns = new HashMap<>();
        footer.columns.forEach(column -> columns.putIfAbsent(column.name, column));
        return columns;
    }

    private static Column column(Type field) {
        if (!field.isPrimitive() || field.isRepetition(Type.Repetition.REPEATED)) {
            return new Column(field.getName(), "nested", "nested values are not numbers", null);
        }
        PrimitiveType primitive = field.asPrimitiveType();
        LogicalTypeAnnotation logical = field.getLogicalTypeAnnotation();
        return logical == null ? plain(field.getName(), primitive) : annotated(field.getName(), primitive, logical);
    }

    private static Column plain(String name, PrimitiveType type) {
        switch (type.getPrimitiveTypeName()) {
            case DOUBLE: return new Column(name, "float64", null, DataTypes.DoubleType);
            case FLOAT: return new Column(name, "float32", null, DataTypes.FloatType);
            case INT32: return new Column(name, "int32", null, DataTypes.IntegerType);
            case INT64: return new Column(name, "int64", null, DataTypes.LongType);
            case BOOLEAN: return new Column(name, "boolean", "booleans are not numbers", null);
            case INT96: return new Column(name, "timestamp", DATES, null);
            default: return new Column(name, "binary", BINARY, null);
        }
    }

    private static Column annotated(String name, PrimitiveType type, LogicalTypeAnnotation logical) {
        if (logical instanceof LogicalTypeAnnotation.IntLogicalTypeAnnotation) {
            LogicalTypeAnnotation.IntLogicalTypeAnnotation whole = (LogicalTypeAnnotation.IntLogicalTypeAnnotation) logical;
            String kind = (whole.isSigned() ? "int" : "uint") + whole.getBitWidth();
            return new Column(name, kind, null, integer(kind));
        }
        if (logical instanceof LogicalTypeAnnotation.DecimalLogicalTypeAnnotation) {
            LogicalTypeAnnotation.DecimalLogicalTypeAnnotation decimal = (LogicalTypeAnnotation.DecimalLogicalTypeAnnotation) logical;
            String kind = "decimal(" + decimal.getPrecision() + "," + decimal.getScale() + ")";
            boolean fits = decimal.getPrecision() <= 38;
            return new Column(name, kind, fits ? null : "Spark reads at most 38 digits",
                fits ? DataTypes.createDecimalType(decimal.getPrecision(), decimal.getScale()) : null);
        }
        // Its class is in Parquet 1.14 and newer only.
        if (logical.getClass().getSimpleName().startsWith("Float16")) {
            return new Column(name, "float16", null, DataTypes.BinaryType);
        }
        if (logical instanceof LogicalTypeAnnotation.DateLogicalTypeAnnotation
            || logical instanceof LogicalTypeAnnotation.TimeLogicalTypeAnnotation
            || logical instanceof LogicalTypeAnnotation.TimestampLogicalTypeAnnotation) {
            return new Column(name, logical.toString().replaceAll("\\(.*", "").toLowerCase(java.util.Locale.ROOT), DATES, null);
        }
        if (logical instanceof LogicalTypeAnnotation.StringLogicalTypeAnnotation
            || logical instanceof LogicalTypeAnnotation.EnumLogicalTypeAnnotation
            || logical instanceof LogicalTypeAnnotation.JsonLogicalTypeAnnotation) {
            return new Column(name, "text", "text is not numbers", null);
        }
        return new Column(name, "binary", BINARY, null);
    }

    private static DataType integer(String kind) {
        switch (kind) {
            case "int8": return DataTypes.ByteType;
            case "int16": case "uint8": return DataTypes.ShortType;
            case "int32": case "uint16": return DataTypes.IntegerType;
            case "uint64": return DataTypes.createDecimalType(20, 0);
            default: return DataTypes.LongType;
        }
    }
}
