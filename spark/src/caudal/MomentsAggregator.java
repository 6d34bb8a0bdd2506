//! The moments of a column as an aggregate function of Spark.
package caudal;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.io.Serializable;
import org.apache.spark.sql.Encoder;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.expressions.Aggregator;

/** Values are gathered into short blocks, which are summed as everywhere else. */
public final class MomentsAggregator extends Aggregator<Double, MomentsAggregator.Buffer, byte[]> {
    private static final long serialVersionUID = 1;
    private static final int BLOCK = 1 << 10;

    /** A block that is being filled, and the state of those before it. */
    public static final class Buffer implements Serializable {
        private static final long serialVersionUID = 1;
        private transient double[] values = new double[BLOCK];
        private transient int length;
        private transient MergeStack stack = new MergeStack();

        private void add(double x) {
            values[length++] = x;
            if (length == BLOCK) {
                flush();
            }
        }

        private void flush() {
            if (length > 0) {
                stack.add(Moments.ofBlock(values, length));
                length = 0;
            }
        }

        private Moments all() {
            flush();
            return stack.all();
        }

        private void writeObject(ObjectOutputStream out) throws IOException {
            out.writeObject(all());
        }

        private void readObject(ObjectInputStream in) throws IOException, ClassNotFoundException {
            values = new double[BLOCK];
            stack = new MergeStack();
            stack.add((Moments) in.readObject());
        }
    }

    @Override
    public Buffer zero() {
        return new Buffer();
    }

    @Override
    public Buffer reduce(Buffer buffer, Double x) {
        buffer.add(x);
        return buffer;
    }

    @Override
    public Buffer merge(Buffer buffer, Buffer other) {
        Moments all = buffer.all().merge(other.all());
        buffer.stack = new MergeStack();
        buffer.stack.add(all);
        return buffer;
    }

    @Override
    public byte[] finish(Buffer buffer) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
            out.writeObject(buffer.all());
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
        return bytes.toByteArray();
    }

    @Override
    public Encoder<Buffer> bufferEncoder() {
        return Encoders.javaSerialization(Buffer.class);
    }

    @Override
    public Encoder<byte[]> outputEncoder() {
        return Encoders.BINARY();
    }

    /** The result of the aggregate. */
    static Moments moments(byte[] bytes) {
        try (ObjectInputStream in = new ObjectInputStream(new ByteArrayInputStream(bytes))) {
            return (Moments) in.readObject();
        } catch (IOException | ClassNotFoundException e) {
            throw new IllegalStateException(e);
        }
    }
}
