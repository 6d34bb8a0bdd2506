//! From what Spark throws to a fault in words for the one who must act.
package caudal;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

final class Faults {
    private static final Pattern FILE = Pattern.compile("(?:reading file|path|File)[: ]+'?((?:file|hdfs|s3a?|abfss?|gs):[^\\s',]+)");

    private Faults() {}

    /** By the messages of an error and its causes: the classes of a task's errors do not reach the driver. */
    static Fault of(Throwable error) {
        StringBuilder messages = new StringBuilder();
        for (Throwable at = error; at != null; at = at.getCause()) {
            if (at instanceof Fault) {
                return (Fault) at;
            }
            messages.append(at).append('\n');
        }
        return of(messages.toString());
    }

    private static Fault of(String text) {
        Matcher matcher = FILE.matcher(text);
        String file = matcher.find() ? matcher.group(1).replaceAll("[.]$", "") : null;
        if (has(text, "OutOfMemoryError", "ExecutorLostFailure.*(137|code 52|memory limit)", "Container killed.*memory", "UNABLE_TO_ACQUIRE_MEMORY",
            "bigger than spark.driver.maxResultSize")) {
            return Fault.of("insufficient_memory", "an executor or the driver ran out of memory: " + line(text), null,
                "give executors more memory, for instance spark_config.executor_memory 4g");
        }
        if (has(text, "No space left on device", "Disk quota exceeded", "not enough space")) {
            return Fault.of("storage_unavailable", "a disk is full: " + line(text), null, "free some space, and run the job again");
        }
        if (has(text, "FileNotFoundException", "FAILED_READ_FILE.FILE_NOT_EXIST", "Access Denied", "AccessControlException", "Permission denied")) {
            return Fault.of("source_unavailable", "a file is gone or may not be read: " + line(text), file, null);
        }
        if (has(text, "FAILED_READ_FILE", "while reading file", "ParquetDecodingException", "is not a Parquet file", "CorruptedPage",
            "could not read page", "Could not read footer")) {
            return Fault.of("invalid_data", "the Parquet file cannot be read: it is damaged", file, "write it again, or leave it out");
        }
        if (has(text, "All masters are unresponsive", "Failed to connect to", "Connection refused")) {
            return Fault.of("unavailable_engine", "the Spark master does not answer: " + line(text), null, null);
        }
        return Fault.of("internal", line(text), null, null);
    }

    private static boolean has(String text, String... patterns) {
        for (String pattern : patterns) {
            if (Pattern.compile(pattern).matcher(text).find()) {
                return true;
            }
        }
        return false;
    }

    /** The last cause in one line. */
    private static String line(String text) {
        String[] lines = text.split("\n");
        for (int i = lines.length - 1; i >= 0; i--) {
            String line = lines[i].trim();
            if (!line.isEmpty() && !line.startsWith("at ") && !line.startsWith("Driver stacktrace") && !line.startsWith("...")) {
                return line.length() > 300 ? line.substring(0, 300) + "…" : line;
            }
        }
        return "unknown";
    }
}
