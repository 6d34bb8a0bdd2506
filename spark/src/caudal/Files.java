//! Files of a source in their order, and what is done to folders of ours.
package caudal;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

final class Files {
    private Files() {}

    /** The files of a source, in byte order of their paths. */
    static List<FileStatus> of(List<String> uris, Configuration conf) {
        List<FileStatus> files = new ArrayList<>();
        for (String uri : uris) {
            try {
                Path path = Spec.path(uri);
                FileSystem fs = path.getFileSystem(conf);
                FileStatus status = fs.getFileStatus(path);
                if (status.isFile()) {
                    files.add(status);
                } else {
                    list(fs, path, files);
                }
            } catch (FileNotFoundException e) {
                throw Fault.of("source_unavailable", "there is no file " + uri, uri, null);
            } catch (IOException | IllegalArgumentException e) {
                throw Fault.of("source_unavailable", uri + " cannot be read: " + e.getMessage(), uri, null);
            }
        }
        if (files.isEmpty()) {
            throw Fault.of("source_unavailable", "the source holds no files", uris.get(0), null);
        }
        files.sort((a, b) -> compare(a.getPath().toString(), b.getPath().toString()));
        return files;
    }

    private static void list(FileSystem fs, Path folder, List<FileStatus> files) throws IOException {
        for (FileStatus status : fs.listStatus(folder)) {
            String name = status.getPath().getName();
            if (name.startsWith("_") || name.startsWith(".")) {
                continue;
            }
            if (status.isDirectory()) {
                list(fs, status.getPath(), files);
            } else {
                files.add(status);
            }
        }
    }

    /** By the bytes of UTF-8. */
    static int compare(String a, String b) {
        byte[] x = a.getBytes(StandardCharsets.UTF_8);
        byte[] y = b.getBytes(StandardCharsets.UTF_8);
        for (int i = 0; i < Math.min(x.length, y.length); i++) {
            if (x[i] != y[i]) {
                return (x[i] & 255) - (y[i] & 255);
            }
        }
        return x.length - y.length;
    }

    /** Empties the place of an output of ours; refuses a folder that holds anything else. */
    static void clear(String uri, Configuration conf) throws IOException {
        Path folder = Spec.path(uri);
        FileSystem fs = folder.getFileSystem(conf);
        if (!fs.exists(folder)) {
            return;
        }
        for (FileStatus status : fs.listStatus(folder)) {
            String name = status.getPath().getName();
            boolean ours = name.startsWith("part-") || name.startsWith("_") || name.startsWith(".") || name.equals("data.json");
            if (!ours) {
                throw Fault.of("invalid_request", "the output folder holds " + name + ", which is none of ours", uri,
                    "name a folder that is empty or does not exist");
            }
        }
        fs.delete(folder, true);
    }

    static void delete(String uri, Configuration conf) {
        try {
            Path path = Spec.path(uri);
            path.getFileSystem(conf).delete(path, true);
        } catch (IOException e) {
            // What is left is in a place that the launcher sweeps.
            System.err.println("not removed: " + uri + ": " + e.getMessage());
        }
    }

    /** Writes a small file that appears whole or not at all. */
    static void write(String uri, byte[] content, Configuration conf) throws IOException {
        Path path = Spec.path(uri);
        FileSystem fs = path.getFileSystem(conf);
        Path draft = new Path(path.getParent(), "." + path.getName() + ".draft");
        try (OutputStream out = fs.create(draft, true)) {
            out.write(content);
        }
        fs.delete(path, false);
        if (!fs.rename(draft, path)) {
            throw new IOException("cannot rename " + draft + " to " + path);
        }
    }
}
