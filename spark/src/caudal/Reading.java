//! How pieces of text become blocks of the processed columns.
package caudal;

import java.io.IOException;
import java.io.Serializable;
import java.util.Iterator;
import org.apache.hadoop.conf.Configuration;

interface Reading extends Serializable {
    /** The rows that begin in a piece; what comes to light goes into the report once they have been taken. */
    Iterator<Block> open(Piece piece, Report report, Block block, Configuration conf) throws IOException;
}
