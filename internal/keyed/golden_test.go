package keyed

// The golden draws of Version 1.
const (
	goldenUint64 = 0x16685d92f29f7f54
	goldenSmall  = 0x229
	goldenLarge  = 0x13494ec624
	goldenNormal = 0x3fb4ce4e28eedc59
)

var goldenOrder = [10]uint64{6, 3, 1, 8, 5, 4, 9, 0, 7, 2}
