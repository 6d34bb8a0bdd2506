//! A part of a file in memory, which goes on with the file.
package caudal;

import java.io.Closeable;
import java.io.IOException;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.Path;

final class Window implements Closeable {
    private static final int STEP = 1 << 20;
    /** Bytes that one row may take. */
    private static final int MOST = 1 << 30;
    byte[] bytes = new byte[2 * STEP];
    int length;
    /** Where in the file the window begins. */
    private long begin;
    private final FSDataInputStream in;

    /** The row is longer than may be held. */
    static final class TooLong extends IOException {
        private static final long serialVersionUID = 1;
    }

    Window(String path, long from, Configuration conf) throws IOException {
        Path file = new Path(path);
        in = file.getFileSystem(conf).open(file);
        in.seek(from);
        begin = from;
    }

    /** Reads on; false at the end of the file. */
    boolean more() throws IOException {
        if (bytes.length - length < STEP) {
            if (bytes.length >= MOST) {
                throw new TooLong();
            }
            bytes = java.util.Arrays.copyOf(bytes, bytes.length * 2);
        }
        int read = in.read(bytes, length, STEP);
        length += Math.max(0, read);
        return read > 0;
    }

    /** Whether there is a byte here. */
    boolean has(int at) throws IOException {
        while (at >= length) {
            if (!more()) {
                return false;
            }
        }
        return true;
    }

    /** Where in the file a byte of the window is. */
    long place(int at) {
        return begin + at;
    }

    /** Lets go of what lies before; where that byte is now. */
    int passed(int at) {
        if (at < STEP) {
            return at;
        }
        System.arraycopy(bytes, at, bytes, 0, length - at);
        length -= at;
        begin += at;
        return 0;
    }

    @Override
    public void close() throws IOException {
        in.close();
    }
}
