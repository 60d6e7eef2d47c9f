using System.Text.Json;
using GemmaCore.Testing;

namespace GemmaCore.Checkpoints.Tests;

public sealed class WeightNamesTests
{
    private static readonly (string Key, NameGeneration Generation)[] Keys =
    [
        ("A (on the Hub)", NameGeneration.First), ("B (in memory 4.52-5.5)", NameGeneration.Second), ("C (in memory from 5.6)", NameGeneration.Third),
        ("text-only", NameGeneration.TextOnly),
    ];

    [Fact]
    public void Every_generation_of_the_golden_list_maps_to_the_second_and_back()
    {
        var golden = JsonSerializer.Deserialize<Dictionary<string, List<string>>>(File.ReadAllText(Goldens.Path("weight_names.json")))!;
        Assert.Equal(Keys.Select(item => item.Key).Order(), golden.Keys.Order());
        HashSet<string> second = [.. golden[Keys[1].Key]];
        foreach ((string key, NameGeneration generation) in Keys)
        {
            Assert.Equal(golden[key].Count, golden[key].Select(WeightNames.Canonical).Distinct().Count());
            foreach (string name in golden[key])
            {
                string canonical = WeightNames.Canonical(name)!;
                Assert.Contains(canonical, second);
                Assert.Equal(name, WeightNames.ToGeneration(canonical, generation));
                Assert.Equal(canonical, WeightNames.Canonical(canonical));
            }
        }
    }

    [Theory]
    [InlineData("language_model.lm_head.weight", "lm_head.weight")]
    [InlineData("lm_head.weight", "lm_head.weight")]
    [InlineData("model.lm_head.weight", "lm_head.weight")]
    [InlineData("model.layers.3.mlp.up_proj.weight", "model.language_model.layers.3.mlp.up_proj.weight")]
    [InlineData("language_model.layers.3.mlp.up_proj.weight", "model.language_model.layers.3.mlp.up_proj.weight")]
    [InlineData("vision_model.pre_layrnorm.bias", "model.vision_tower.vision_model.pre_layrnorm.bias")]
    [InlineData("vision_tower.vision_tower.vision_model.embeddings.class_embedding", "model.vision_tower.vision_model.embeddings.class_embedding")]
    [InlineData("model.vision_tower.encoder.layers.0.mlp.fc1.bias", "model.vision_tower.vision_model.encoder.layers.0.mlp.fc1.bias")]
    [InlineData("model.layers.0.self_attn.rotary_emb.inv_freq", null)]
    [InlineData("vision_model.embeddings.position_ids", null)]
    [InlineData("vision_tower.vision_model.head.probe", null)]
    [InlineData("model.vision_tower.head.attention.in_proj_weight", null)]
    [InlineData("something.else", "something.else")]
    public void Other_spellings_map_too(string name, string? canonical) => Assert.Equal(canonical, WeightNames.Canonical(name));

    [Fact]
    public void The_head_has_the_place_its_generation_gives_it()
    {
        Assert.Equal("language_model.lm_head.weight", WeightNames.ToGeneration("lm_head.weight", NameGeneration.First));
        Assert.Equal("lm_head.weight", WeightNames.ToGeneration("lm_head.weight", NameGeneration.Third));
    }
}
