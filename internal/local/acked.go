package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The database takes damage in the last block of its write-ahead log for the torn
// tail that a crash leaves, and opens with what comes before it: acknowledged
// events would be gone without a word. So the log writes down, outside of the
// database, up to which number it has acknowledged. The write is not synced: it
// survives the end of the process, and after a loss of power it may be too low
// but never too high, so that it never accuses a log that is whole.

// acked is the open file that holds the mark.
type acked struct{ file *os.File }

// ackedText is the content of the file: always of one length, to be overwritten
// in place.
func ackedText(next uint64) []byte { return fmt.Appendf(nil, "%020d\n", next) }

// openAcked opens the mark and gives the number of the first record that was not
// acknowledged when it was written.
func openAcked(dir string) (acked, uint64, error) {
	f, err := os.OpenFile(filepath.Join(dir, ackedFile), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return acked{}, 0, missing(ackedFile)
	}
	if err != nil {
		return acked{}, 0, fmt.Errorf("opening its %s: %w", ackedFile, err)
	}
	text := make([]byte, 64)
	n, _ := f.ReadAt(text, 0)
	next, err := strconv.ParseUint(strings.TrimSuffix(string(text[:n]), "\n"), 10, 64)
	if err != nil || n != len(ackedText(next)) {
		return acked{}, 0, errors.Join(fmt.Errorf("its %s file is damaged: %s", ackedFile, remedy), f.Close())
	}
	return acked{f}, next, nil
}

// set moves the mark.
func (a acked) set(next uint64) error {
	_, err := a.file.WriteAt(ackedText(next), 0)
	return err
}
