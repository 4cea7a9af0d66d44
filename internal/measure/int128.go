package measure

import (
	"encoding/binary"
	"math/big"
	"math/bits"
)

// Int128 is a signed 128-bit integer, two's complement. It holds the sum of
// 2^63 values of 64 bits each, so adding never overflows in practice and the
// order of addition cannot matter; the range is checked when a sum is read.
type Int128 struct {
	Hi int64
	Lo uint64
}

// FromInt64 widens x.
func FromInt64(x int64) Int128 { return Int128{Hi: x >> 63, Lo: uint64(x)} }

// Add gives a + b modulo 2^128.
func (a Int128) Add(b Int128) Int128 {
	lo, carry := bits.Add64(a.Lo, b.Lo, 0)
	hi, _ := bits.Add64(uint64(a.Hi), uint64(b.Hi), carry)
	return Int128{Hi: int64(hi), Lo: lo}
}

// Big gives the value as a big integer.
func (a Int128) Big() *big.Int {
	x := new(big.Int).SetInt64(a.Hi)
	x.Lsh(x, 64)
	return x.Add(x, new(big.Int).SetUint64(a.Lo))
}

// FromBig gives x as an Int128; false if it does not fit.
func FromBig(x *big.Int) (Int128, bool) {
	lo := new(big.Int).And(x, new(big.Int).SetUint64(^uint64(0)))
	hi := new(big.Int).Rsh(x, 64) // arithmetic: rounds towards minus infinity
	if !hi.IsInt64() {
		return Int128{}, false
	}
	return Int128{Hi: hi.Int64(), Lo: lo.Uint64()}, true
}

// FromBigEndian reads 16 bytes, two's complement: Parquet's decimal.
func FromBigEndian(b []byte) Int128 {
	return Int128{Hi: int64(binary.BigEndian.Uint64(b)), Lo: binary.BigEndian.Uint64(b[8:])}
}

var limit38 = new(big.Int).Exp(big.NewInt(10), big.NewInt(38), nil)

// Fits38 reports whether the value has at most 38 digits: the range of a
// decimal(38, s) in Parquet and in every SQL engine used.
func (a Int128) Fits38() bool { return a.Big().CmpAbs(limit38) < 0 }
