// Package program writes what passes for the functions' programs in tests: files that
// say for which processor they are, and do nothing.
package program

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
)

// Write writes programs for a processor into a folder, as `make functions` does: each
// into a folder of its own name.
func Write(dir string, machine elf.Machine, names ...string) error {
	for _, name := range names {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name, "bootstrap"), header(machine, name), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// header is that of an ELF file without anything behind it but a name.
func header(machine elf.Machine, name string) []byte {
	h := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Ehsize: 64,
	}
	var out bytes.Buffer
	_ = binary.Write(&out, binary.LittleEndian, h) // into memory
	out.WriteString(name)
	return out.Bytes()
}
