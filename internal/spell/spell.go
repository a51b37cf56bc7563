// Package spell finds the known name that a mistyped one was meant to be.
package spell

// Distance is the number of letters to insert, delete or replace to make a of b
// (Levenshtein 1966), computed a row at a time.
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// Nearest returns the known name with the fewest edits from name, the first of
// equals, and how many they are; "" and the length of name where none is known.
func Nearest(name string, known []string) (nearest string, edits int) {
	edits = len(name)
	for i, k := range known {
		if d := Distance(name, k); i == 0 || d < edits {
			nearest, edits = k, d
		}
	}
	return nearest, edits
}
