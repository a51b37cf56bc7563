// Command gradus trains models on less data and in less time: it measures how
// hard every sample of a corpus is, paces training from easy to hard, routes
// only some of the tokens through the middle layers, and reports what that saved.
package main

import "github.com/gradus-ml/gradus/cmd"

func main() { cmd.Main() }
