using System.Text.Json;
using GemmaCore.Testing;

namespace GemmaCore.Inputs.Tests;

public sealed class TokenizerGoldenTests
{
    private const string RealTokenizer = "gemma3-tokenizer/tokenizer.json";

    [Fact]
    public void Model_file_gives_the_golden_ids_and_texts() =>
        Check(Tokenizer.FromModelFile(Goldens.DemoPath("model/tokenizer.model")), Goldens.Path("tokenizer/tiny.json"));

    [Fact]
    public void Json_file_gives_the_golden_ids_and_texts() =>
        Check(Tokenizer.FromJsonFile(Goldens.DemoPath("model/tokenizer.json")), Goldens.Path("tokenizer/tiny.json"));

    [Fact]
    public void Real_gemma_tokenizer_gives_the_golden_ids_and_texts()
    {
        Assert.SkipUnless(Goldens.Exists(Goldens.SharedPath(RealTokenizer)), "the real Gemma 3 tokenizer is not beside the clone");
        Check(Tokenizer.FromJsonFile(Goldens.SharedPath(RealTokenizer)), Goldens.SharedPath("tokenizer/gemma3.json"));
    }

    [Fact]
    public void Both_files_of_the_embedded_model_say_the_same()
    {
        Tokenizer model = Tokenizer.FromModelFile(Goldens.DemoPath("model/tokenizer.model"));
        Tokenizer json = Tokenizer.FromJsonFile(Goldens.DemoPath("model/tokenizer.json"));

        Assert.Equal(json.VocabularySize, model.VocabularySize);
        Assert.Equal((json.BosId, json.EosId, json.PadId), (model.BosId, model.EosId, model.PadId));
        for (int id = 0; id < json.VocabularySize; id++)
        {
            Assert.Equal(json.TokenOf(id), model.TokenOf(id));
            Assert.Equal(json.IsSpecial(id), model.IsSpecial(id));
        }
    }

    private static void Check(Tokenizer tokenizer, string goldenPath)
    {
        using var golden = JsonDocument.Parse(File.ReadAllBytes(goldenPath));
        int cases = 0, casesWithBos = 0;
        foreach (JsonElement row in golden.RootElement.EnumerateArray())
        {
            string text = row.GetProperty("text").GetString()!;
            int[] ids = Ids(row.GetProperty("ids"));
            Assert.Equal(ids, tokenizer.Encode(text, addBos: false));
            Assert.Equal(row.GetProperty("decoded").GetString(), tokenizer.Decode(ids, skipSpecialTokens: false));
            cases++;
            if (!row.TryGetProperty("with_bos", out JsonElement withBos)) continue;
            Assert.Equal(Ids(withBos), tokenizer.Encode(text, addBos: true));
            Assert.Equal(row.GetProperty("decoded_skip_special").GetString(), tokenizer.Decode(ids, skipSpecialTokens: true));
            casesWithBos++;
        }
        Assert.Equal((252, 52), (cases, casesWithBos));
    }

    private static int[] Ids(JsonElement list) => [.. list.EnumerateArray().Select(id => id.GetInt32())];
}
