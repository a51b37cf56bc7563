package deepspeed_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/deepspeed"
)

// A dataset of rows, written and read back.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "gradus-example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	prefix := filepath.Join(dir, "seqlen_index_to_sample")

	w, err := deepspeed.Create(prefix, corpus.Uint16, false)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Abort()
	if err := errors.Join(w.Append([]int64{5}), w.EndRow(), w.Append([]int64{6, 7, 8}), w.EndRow(), w.Commit()); err != nil {
		fmt.Println(err)
		return
	}

	rows, err := deepspeed.Open(prefix)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer rows.Close()
	for row := range rows.Len() {
		start, end := rows.Bounds(row)
		ids := make([]int64, end-start)
		if err := rows.Read(ids, start); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(rows.DType(), ids)
	}
	// Output:
	// uint16 [5]
	// uint16 [6 7 8]
}

// Which samples each of four threads has, when a worker has samples 5 to 9.
func ExampleSplit() {
	fmt.Println(deepspeed.Split(5, 10, 4))
	// Output: [5 6 7 8 10]
}
