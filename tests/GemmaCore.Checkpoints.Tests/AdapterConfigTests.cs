using System.Text;
using System.Text.Json.Nodes;
using GemmaCore.Testing;
using GemmaCore.Testing.Fuzz;

namespace GemmaCore.Checkpoints.Tests;

public sealed class AdapterConfigTests
{
    private const string Text = "model.language_model.layers.", Vision = "model.vision_tower.vision_model.encoder.layers.";

    public static TheoryData<string> Adapters => ["all_linear_r8", "dora_r4", "patterns", "qv_list_r4", "text_only_r4_rslora"];

    [Theory]
    [MemberData(nameof(Adapters))]
    public void A_golden_configuration_is_written_as_it_was_read(string adapter)
    {
        string path = Goldens.Path($"adapters/{adapter}/adapter_config.json");
        AdapterConfig config = AdapterConfig.Parse(File.ReadAllBytes(path), path);
        Assert.Equal(File.ReadAllText(path), config.Format([]));
        Assert.Empty(config.UnknownFields);
    }

    [Fact]
    public void A_configuration_for_training_has_the_golden_field_set()
    {
        var config = AdapterConfig.ForTraining("demo", 8, 16, 0, rslora: false, ["all-linear"]);
        JsonObject ours = JsonNode.Parse(config.Format([Text + "0.mlp.up_proj", Vision + "0.mlp.fc1", Text + "1.mlp.up_proj"]))!.AsObject();
        JsonObject golden = JsonNode.Parse(File.ReadAllText(Goldens.Path("adapters/all_linear_r8/adapter_config.json")))!.AsObject();
        Assert.Equal("""["fc1","up_proj"]""", ours["target_modules"]!.ToJsonString());
        ours["target_modules"] = golden["target_modules"]!.DeepClone();
        Assert.Equal(golden.ToString(), ours.ToString());
    }

    [Fact]
    public void Text_is_what_Python_would_write()
    {
        string text = AdapterConfig.ForTraining("mödel😀+'<x>\n\u0001", 4, 7.5, 1e-5, rslora: true, [@".*language_model.*\.(q|v)_proj"]).Format([]);
        Assert.Contains("\"base_model_name_or_path\": \"m\\u00f6del\\ud83d\\ude00+'<x>\\n\\u0001\"", text, StringComparison.Ordinal);
        Assert.Contains("\"lora_alpha\": 7.5,\n  \"lora_bias\": false,\n  \"lora_dropout\": 1e-05,", text, StringComparison.Ordinal);
        Assert.Contains("\"target_modules\": \".*language_model.*\\\\.(q|v)_proj\"", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Rank_and_alpha_patterns_and_rslora_give_rank_and_scale()
    {
        AdapterConfig patterns = Golden("patterns");
        Assert.Equal((2, 8.0), (patterns.RankFor(Text + "0.mlp.down_proj"), patterns.ScaleFor(Text + "0.mlp.down_proj")));
        Assert.Equal((8, 1.0), (patterns.RankFor(Text + "3.self_attn.q_proj"), patterns.ScaleFor(Vision + "3.self_attn.q_proj")));
        Assert.Equal((4, 2.0), (patterns.RankFor(Text + "2.self_attn.q_proj"), patterns.ScaleFor(Text + "2.self_attn.q_proj")));
        AdapterConfig rslora = Golden("text_only_r4_rslora");
        Assert.Equal(rslora.LoraAlpha / 2, rslora.ScaleFor(Text + "0.mlp.up_proj"));
    }

    [Theory]
    [InlineData("\"q_proj\"", "", "layers.0.self_attn.q_proj", false)]
    [InlineData("[\"q_proj\"]", "", Text + "0.self_attn.q_proj", true)]
    [InlineData("[\"q_proj\"]", "", Vision + "0.self_attn.q_proj", true)]
    [InlineData("[\"proj\"]", "", Text + "0.self_attn.q_proj", false)]
    [InlineData("[\"self_attn.q_proj\"]", "", Text + "0.self_attn.q_proj", true)]
    [InlineData("[\"language_model.model.layers.0.self_attn.q_proj\"]", "", Text + "0.self_attn.q_proj", true)]
    [InlineData("[\"model.vision_tower.encoder.layers.0.mlp.fc1\"]", "", Vision + "0.mlp.fc1", true)]
    [InlineData("\".*language_model.*q_proj\"", "", Text + "0.self_attn.q_proj", true)]
    [InlineData("\".*language_model.*q_proj\"", "", Vision + "0.self_attn.q_proj", false)]
    [InlineData("\"language_model\\\\.model\\\\.layers\\\\.[01]\\\\..*_proj\"", "", Text + "1.mlp.up_proj", true)]
    [InlineData("\"language_model\\\\.model\\\\.layers\\\\.[01]\\\\..*_proj\"", "", Text + "2.mlp.up_proj", false)]
    [InlineData("\"model\\\\.layers\\\\.0\\\\.mlp\\\\.(?P<leaf>up|gate)_proj\"", "", Text + "0.mlp.gate_proj", true)]
    [InlineData("\".*q\"", "", Text + "0.self_attn.q_proj", false)]
    [InlineData("\"all-linear\"", "", Text + "0.mlp.up_proj", true)]
    [InlineData("\"all-linear\"", "", "lm_head", false)]
    [InlineData("\"all-linear\"", ",\"exclude_modules\":[\"up_proj\"]", Text + "0.mlp.up_proj", false)]
    [InlineData("\"all-linear\"", ",\"exclude_modules\":\".*vision_tower.*\"", Vision + "0.mlp.fc1", false)]
    [InlineData("\"all-linear\"", ",\"exclude_modules\":\".*vision_tower.*\"", Text + "0.mlp.up_proj", true)]
    [InlineData("[\"up_proj\"]", ",\"modules_to_save\":[\"up_proj\"]", Text + "0.mlp.up_proj", false)]
    [InlineData("[\"up_proj\"]", ",\"layers_to_transform\":[1,12]", Text + "12.mlp.up_proj", true)]
    [InlineData("[\"up_proj\"]", ",\"layers_to_transform\":[1,12]", Text + "2.mlp.up_proj", false)]
    [InlineData("[\"up_proj\"]", ",\"layers_to_transform\":3,\"layers_pattern\":\"layers\"", Text + "3.mlp.up_proj", true)]
    [InlineData("[\"up_proj\"]", ",\"layers_to_transform\":3,\"layers_pattern\":[\"h\",\"blocks\"]", Text + "3.mlp.up_proj", false)]
    [InlineData("null", "", Text + "3.mlp.up_proj", false)]
    public void Targets_are_matched_as_PEFT_does(string targets, string more, string path, bool expected) =>
        Assert.Equal(expected, Parse($$"""{"target_modules":{{targets}}{{more}}}""").Targets(path));

    [Theory]
    [InlineData("[]", "expected a JSON object")]
    [InlineData("{", "not a valid adapter configuration")]
    [InlineData("{\"r\":8,\"r\":9}", "not a valid adapter configuration")]
    [InlineData("{\"peft_type\":\"IA3\"}", "peft_type 'IA3'")]
    [InlineData("{\"r\":0}", "r must be a number from 1 to 65536, got 0")]
    [InlineData("{\"r\":1000000}", "r must be a number from 1 to 65536, got 1000000")]
    [InlineData("{\"r\":2.5}", "r must be a whole number, got 2.5")]
    [InlineData("{\"r\":\"8\"}", "r must be a number")]
    [InlineData("{\"lora_alpha\":1e999}", "lora_alpha must be a number")]
    [InlineData("{\"bias\":\"all\"}", "bias 'all' is not supported")]
    [InlineData("{\"lora_bias\":true}", "lora_bias is not supported")]
    [InlineData("{\"alora_invocation_tokens\":[1]}", "alora_invocation_tokens is not supported")]
    [InlineData("{\"layer_replication\":[[0,4]]}", "layer_replication is not supported")]
    [InlineData("{\"use_qalora\":true}", "use_qalora is not supported")]
    [InlineData("{\"use_bdlora\":{\"a\":1}}", "use_bdlora is not supported")]
    [InlineData("{\"trainable_token_indices\":[1]}", "trainable_token_indices is not supported")]
    [InlineData("{\"target_parameters\":[\"w\"]}", "target_parameters is not supported")]
    [InlineData("{\"arrow_config\":{\"a\":1}}", "arrow_config is not supported")]
    [InlineData("{\"kasa_config\":{\"a\":1}}", "kasa_config is not supported")]
    [InlineData("{\"velora_config\":{\"a\":1}}", "velora_config is not supported")]
    [InlineData("{\"monteclora_config\":{\"a\":1}}", "monteclora_config is not supported")]
    [InlineData("{\"megatron_config\":{\"a\":1}}", "megatron_config is not supported")]
    [InlineData("{\"init_lora_weights\":\"pissa_niter_4\"}", "init_lora_weights 'pissa_niter_4' changes the base weights")]
    [InlineData("{\"init_lora_weights\":\"loftq\"}", "init_lora_weights 'loftq' changes the base weights")]
    [InlineData("{\"use_dora\":\"yes\"}", "use_dora must be true or false, got \"yes\"")]
    [InlineData("{\"target_modules\":3}", "target_modules must be a string or a list of strings, got 3")]
    [InlineData("{\"target_modules\":[\"a\",null]}", "target_modules must be a list of strings")]
    [InlineData("{\"target_modules\":\"(\"}", "target_modules: '(' is not a regular expression")]
    [InlineData("{\"rank_pattern\":{\"(\":1}}", "rank_pattern: '(' is not a regular expression")]
    [InlineData("{\"rank_pattern\":{\"q_proj\":1.5}}", "rank_pattern.q_proj must be a whole number")]
    [InlineData("{\"alpha_pattern\":[1]}", "alpha_pattern must be an object, got [1]")]
    [InlineData("{\"layers_to_transform\":[-1],\"target_modules\":[\"a\"]}", "layers_to_transform must be a number from 0")]
    [InlineData("{\"layers_to_transform\":[1],\"target_modules\":\"a\"}", "layers_to_transform needs target_modules to be a list")]
    [InlineData("{\"layers_pattern\":\"h\",\"target_modules\":[\"a\"]}", "layers_pattern needs layers_to_transform")]
    public void What_cannot_be_honoured_is_refused_by_name(string json, string reason)
    {
        string message = Assert.Throws<CheckpointException>(() => Parse(json)).Message;
        Assert.StartsWith("adapter_config.json: ", message, StringComparison.Ordinal);
        Assert.Contains(reason, message, StringComparison.Ordinal);
    }

    // It is about GPT-2's Conv1D; PEFT sets it back to false on linear layers, and an adapter trained on a 4-bit base keeps it true in its file.
    [Fact]
    public void Fan_in_fan_out_says_nothing_about_linear_layers() => Assert.Empty(Parse("{\"fan_in_fan_out\":true}").UnknownFields);

    [Fact]
    public void Features_that_are_switched_off_or_only_shape_the_start_are_let_in()
    {
        AdapterConfig config = Parse(
            """
            {"r":4,"lora_alpha":4,"use_qalora":false,"lora_bias":false,"target_parameters":[],"trainable_token_indices":null,"layer_replication":null,
            "init_lora_weights":"gaussian","eva_config":{"rho":2.0},"loftq_config":{"bits":4},"hyper_lora":true,"zeta":{"b":1}}
            """);
        Assert.Equal(["hyper_lora", "zeta"], config.UnknownFields);
        Assert.Contains("\"zeta\": {\n    \"b\": 1\n  }", config.Format([]), StringComparison.Ordinal);
    }

    [Fact]
    public void An_expression_that_never_ends_is_refused() =>
        Assert.Contains("takes too long", Assert.Throws<CheckpointException>(() => Parse("""{"target_modules":"([a-z._0-9]+)+!"}""").Targets(Text + "0.self_attn.q_proj")).Message, StringComparison.Ordinal);

    [Fact]
    public void Damaged_configurations_are_refused_and_nothing_else_happens()
    {
        FuzzCount count = AdapterConfigFuzz.Run(20_000, seed: 1);
        Assert.Equal(20_000, count.Inputs);
        Assert.InRange(count.Accepted, 500, 19_000);
    }

    private static AdapterConfig Parse(string json) => AdapterConfig.Parse(Encoding.UTF8.GetBytes(json), "adapter_config.json");

    private static AdapterConfig Golden(string adapter) => AdapterConfig.Parse(File.ReadAllBytes(Goldens.Path($"adapters/{adapter}/adapter_config.json")), adapter);
}
