"""Makes the files of this folder from two Python packages and a folder of statements; see README.md.

    pip download --no-deps --no-binary :all: vaderSentiment==3.3.2
    pip download --no-deps vega_datasets==0.9.0
    python prepare.py vaderSentiment-3.3.2.tar.gz vega_datasets-0.9.0-py3-none-any.whl STATEMENTS

STATEMENTS is a folder with the statements of the Federal Open Market Committee as YYYYMMDD.txt.
"""

import io
import sys
import tarfile
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
# Raters gave -4 to 4; what they did not feel clearly about is left out.
CLEAR = 0.5
# After the attacks of 2001, at the low of 2003, and from the first cut to the bottom of the crisis of 2008.
STATEMENTS = ("20010917", "20030625", "20070918", "20081029", "20081216", "20090318")


def fnv(text: str) -> int:
    """FNV-1a in 32 bits: splits by article, so that no article is on both sides."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def rows(archive: tarfile.TarFile, name: str):
    text = archive.extractfile(f"hutto_ICWSM_2014/{name}_GroundTruth.txt").read().decode("utf-8", "replace")
    for line in text.splitlines():
        parts = line.split("\t")
        if len(parts) >= 3:
            snippet = " ".join("\t".join(parts[2:]).split())
            yield parts[0], float(parts[1]), snippet


def main(vader: str, vega: str, statements: str) -> None:
    outer = tarfile.open(vader)
    member = next(m for m in outer.getmembers() if m.name.endswith("hutto_ICWSM_2014.tar.gz"))
    archive = tarfile.open(fileobj=io.BytesIO(outer.extractfile(member).read()))
    train, held = [], []
    for genre in ("nytEditorialSnippets", "amazonReviewSnippets", "movieReviewSnippets", "tweets"):
        for key, mean, snippet in rows(archive, genre):
            article = key.split("_")[0]
            is_news = genre.startswith("nyt")
            outside = is_news and fnv(article) % 5 == 0
            if abs(mean) < CLEAR:
                continue
            label = "positive" if mean > 0 else "negative"
            (held if outside else train).append((f"{genre[:3]}_{key}", label, snippet))
    # A few sentences stand in two articles.
    judged = {text.lower() for _, _, text in held}
    train = [row for row in train if row[2].lower() not in judged]
    for name, part in (("news_heldout", held), ("train", train)):
        with open(HERE / f"{name}.tsv", "w", encoding="utf-8", newline="\n") as out:
            out.write("id\tlabel\ttext\n")
            out.writelines("\t".join(row) + "\n" for row in part)
    for date in STATEMENTS:
        lines = (Path(statements) / f"{date}.txt").read_text(encoding="utf-8").strip().splitlines()
        text = "\n".join(line.rstrip() for line in lines) + "\n"
        name = f"statement_{date[:4]}-{date[4:6]}-{date[6:]}.txt"
        (HERE / name).write_text(text, encoding="utf-8")
    with zipfile.ZipFile(vega) as wheel:
        (HERE / "stocks.csv").write_bytes(wheel.read("vega_datasets/_data/stocks.csv"))


if __name__ == "__main__":
    main(*sys.argv[1:])
