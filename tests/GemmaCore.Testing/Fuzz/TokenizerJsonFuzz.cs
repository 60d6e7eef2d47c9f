using System.Text;
using GemmaCore.Inputs;

namespace GemmaCore.Testing.Fuzz;

/// <summary>Outcome of a fuzz run; an unexpected exception ends the run instead.</summary>
/// <param name="Inputs">Mutated inputs tried.</param>
/// <param name="Accepted">Those that loaded (and then encoded and decoded a text).</param>
public readonly record struct TokenizerFuzzCount(long Inputs, long Accepted);

/// <summary>Damages a small tokenizer.json in random places; only <see cref="InputException"/> may come out.</summary>
public static class TokenizerJsonFuzz
{
    private const string Seed = """
        {"added_tokens":[{"id":0,"content":"<unk>","special":true},{"id":1,"content":"<s>","special":true},{"id":9,"content":"\n\n","special":false}],
        "normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]},
        "pre_tokenizer":{"type":"Split","pattern":{"String":" "},"behavior":"MergedWithPrevious","invert":false},
        "post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}]},
        "decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]},
        "model":{"type":"BPE","dropout":null,"unk_token":"<unk>","fuse_unk":true,"byte_fallback":true,"ignore_merges":false,
        "vocab":{"<unk>":0,"<s>":1,"<0x41>":2,"▁":3,"a":4,"b":5,"ab":6,"▁ab":7,"aa":8,"\n\n":9},"merges":[["a","b"],["▁","ab"],"a a"]}}
        """;

    private static readonly string[] Scraps =
        ["null", "true", "-1", "1e999", "99999999999", "16777215", "[]", "{}", "\"\"", "\"\\ud800\"", "\"▁\"", "[[[[[[", "\"a\"", ",", ":", "{", "}", "]", "\\", "\0", "\"Metaspace\""];

    /// <summary>Tries <paramref name="iterations"/> mutations, always the same for one <paramref name="seed"/>.</summary>
    public static TokenizerFuzzCount Run(long iterations, int seed)
    {
        byte[] original = Encoding.UTF8.GetBytes(Seed);
        byte[][] scraps = [.. Scraps.Select(Encoding.UTF8.GetBytes)];
        var random = new Random(seed);
        var mutated = new List<byte>();
        long accepted = 0;
        for (long iteration = 0; iteration < iterations; iteration++)
        {
            mutated.Clear();
            mutated.AddRange(original);
            for (int mutations = random.Next(1, 4); mutations > 0; mutations--) Mutate(mutated, scraps, random);
            try
            {
                Tokenizer tokenizer = Tokenizer.FromJson(mutated.ToArray(), "fuzz");
                _ = tokenizer.Decode(tokenizer.Encode("ab A\n\n<s>aaab é\uD83D", addBos: tokenizer.BosId >= 0), skipSpecialTokens: true);
                accepted++;
            }
            catch (InputException)
            {
                // Refusing is the point.
            }
        }
        return new TokenizerFuzzCount(iterations, accepted);
    }

    private static void Mutate(List<byte> bytes, byte[][] scraps, Random random)
    {
        if (bytes.Count == 0) return;
        int at = random.Next(bytes.Count), length = Math.Min(random.Next(1, 24), bytes.Count - at);
        switch (random.Next(6))
        {
            case 0: bytes[at] = (byte)random.Next(256); break;
            case 1: bytes.RemoveRange(at, length); break;
            case 2: bytes.InsertRange(at, bytes.GetRange(random.Next(bytes.Count - length + 1), length)); break;
            case 3: ReplaceValue(bytes, at, scraps[random.Next(scraps.Length)]); break;
            case 4: bytes.InsertRange(at, scraps[random.Next(scraps.Length)]); break;
            default: bytes[at] ^= (byte)(1 << random.Next(8)); break;
        }
    }

    // Puts a scrap where the next value stands, so that the damage is often still JSON.
    private static void ReplaceValue(List<byte> bytes, int at, byte[] scrap)
    {
        int start = bytes.FindIndex(at, value => value is (byte)':' or (byte)'[' or (byte)',') + 1;
        if (start == 0) return;
        int end = bytes.FindIndex(start, value => value is (byte)',' or (byte)'}' or (byte)']');
        if (end < 0) return;
        bytes.RemoveRange(start, end - start);
        bytes.InsertRange(start, scrap);
    }
}
