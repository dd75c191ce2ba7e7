# Reads libFuzzer's merge control file (the files, then the features that each reaches) and prints
# at most `most` files: each time the one that adds the most features, of equals the smaller.
NR == 1 { files = $1; next }
NR == 2 { next }
NR <= files + 2 { path[NR - 3] = $0; next }
$1 == "STARTED" { size[$2] = $3 }
$1 == "FT" {
    id = $2
    for (i = 3; i <= NF; i++) features[id] = features[id] " " $i
    known[id] = NF - 2
}
END {
    for (taken = 0; taken < most; taken++) {
        best = -1
        for (id in known) {
            # What is left of a file only shrinks: no need to count one that had too few before.
            if (best != -1 && known[id] < gain) continue
            count = split(features[id], list, " ")
            new = 0
            rest = ""
            for (i = 1; i <= count; i++) if (!(list[i] in covered)) { new++; rest = rest " " list[i] }
            features[id] = rest
            known[id] = new
            if (new > 0 && (best == -1 || new > gain || (new == gain && size[id] < size[best]))) {
                best = id
                gain = new
            }
        }
        if (best == -1) break
        print path[best]
        count = split(features[best], list, " ")
        for (i = 1; i <= count; i++) covered[list[i]] = 1
        delete known[best]
    }
}
