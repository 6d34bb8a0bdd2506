//! Writes blocks as files through Hadoop's committer, so that a task that runs twice leaves one file.
package caudal;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.mapreduce.Job;
import org.apache.hadoop.mapreduce.RecordWriter;
import org.apache.hadoop.mapreduce.TaskAttemptContext;
import org.apache.hadoop.mapreduce.lib.output.FileOutputCommitter;
import org.apache.hadoop.mapreduce.lib.output.FileOutputFormat;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import scala.Tuple2;

/** One file for each partition, named in their order. */
public final class Output extends FileOutputFormat<Void, Block> {
    private static final String FORMAT = "caudal.output.format";
    private static final String COLUMNS = "caudal.output.columns";

    /** Writes blocks into a folder that is replaced; it counts once {@code _SUCCESS} is there. */
    static void write(JavaSparkContext sc, JavaRDD<Block> blocks, List<Column> columns, String folder, String format) {
        try {
            Files.clear(folder, sc.hadoopConfiguration());
            List<String> names = new ArrayList<>();
            columns.forEach(column -> names.add(column.name));
            Job job = Job.getInstance(sc.hadoopConfiguration());
            job.setOutputFormatClass(Output.class);
            job.setOutputKeyClass(Void.class);
            job.setOutputValueClass(Block.class);
            FileOutputFormat.setOutputPath(job, Spec.path(folder));
            job.getConfiguration().set(FORMAT, format);
            job.getConfiguration().set(COLUMNS, new ObjectMapper().writeValueAsString(names));
            blocks.mapToPair(block -> new Tuple2<>((Void) null, block)).saveAsNewAPIHadoopDataset(job.getConfiguration());
        } catch (IOException e) {
            throw Fault.of("storage_unavailable", "the normalised data cannot be written: " + e.getMessage(), folder, null);
        }
    }

    /** The files of a written folder, in the order of their rows. */
    static List<FileStatus> files(String folder, Configuration conf) throws IOException {
        Path path = Spec.path(folder);
        FileSystem fs = path.getFileSystem(conf);
        List<FileStatus> files = new ArrayList<>();
        for (FileStatus status : fs.listStatus(path)) {
            if (!status.getPath().getName().startsWith("_") && !status.getPath().getName().startsWith(".")) {
                files.add(status);
            }
        }
        files.sort((a, b) -> Files.compare(a.getPath().getName(), b.getPath().getName()));
        return files;
    }

    @Override
    public Path getDefaultWorkFile(TaskAttemptContext context, String extension) throws IOException {
        Path folder = ((FileOutputCommitter) getOutputCommitter(context)).getWorkPath();
        String format = context.getConfiguration().get(FORMAT);
        int number = context.getTaskAttemptID().getTaskID().getId();
        return new Path(folder, format.equals("json") ? "data.json" : String.format("part-%05d.%s", number, format));
    }

    @Override
    public RecordWriter<Void, Block> getRecordWriter(TaskAttemptContext context) throws IOException {
        Configuration conf = context.getConfiguration();
        String[] names = new ObjectMapper().readValue(conf.get(COLUMNS), String[].class);
        Path file = getDefaultWorkFile(context, "");
        switch (conf.get(FORMAT)) {
            case "parquet": return new ParquetRows(names, file, conf);
            case "json": return new TextRows.Document(names, file, conf);
            default: return new TextRows(names, file, conf, conf.get(FORMAT).equals("csv"));
        }
    }
}
