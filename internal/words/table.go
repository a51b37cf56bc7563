package words

import (
	"strings"
	"unicode/utf8"
)

// Table writes rows as a Markdown table, the first row its head. The first
// left columns are aligned left, the others right.
func Table(b *strings.Builder, rows [][]string, left int) {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i := range row {
			row[i] = strings.ReplaceAll(row[i], "|", `\|`)
			width[i] = max(width[i], utf8.RuneCountInString(row[i]))
		}
	}
	for n, row := range rows {
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if i < left {
				b.WriteString("| " + cell + pad + " ")
			} else {
				b.WriteString("| " + pad + cell + " ")
			}
		}
		b.WriteString("|\n")
		if n > 0 {
			continue
		}
		for i, w := range width {
			if i < left {
				b.WriteString("|-" + strings.Repeat("-", w) + "-")
			} else {
				b.WriteString("|-" + strings.Repeat("-", w) + ":")
			}
		}
		b.WriteString("|\n")
	}
}
