using System.Text;
using GemmaCore.Checkpoints;

namespace GemmaCore.Testing.Fuzz;

/// <summary>Damages adapter configurations; only <see cref="CheckpointException"/> may come out, and what is accepted must survive being saved.</summary>
public static class AdapterConfigFuzz
{
    private static readonly byte[][] Seeds =
    [
        Encoding.UTF8.GetBytes(
            """
            {"peft_type":"LORA","task_type":"CAUSAL_LM","base_model_name_or_path":"démo","bias":"none","r":8,"lora_alpha":16,"lora_dropout":0.05,
            "target_modules":["q_proj","down_proj"],"exclude_modules":".*vision.*","modules_to_save":["lm_head"],"layers_to_transform":[0,3],"layers_pattern":"layers",
            "rank_pattern":{"down_proj":2,"layers\\.3\\.self_attn\\.q_proj":4},"alpha_pattern":{"q_proj":7.5},"use_rslora":true,"use_dora":false,
            "init_lora_weights":true,"loftq_config":{},"fan_in_fan_out":false,"alora_invocation_tokens":null,"layer_replication":null,"mystery":{"kept":[1,"x"]}}
            """),
        Encoding.UTF8.GetBytes(
            """
            {"peft_type":"LORA","r":4,"lora_alpha":8,"target_modules":".*language_model.*\\.(?P<leaf>q_proj|k_proj)|(?!x)y{1,3}[a-z]+","exclude_modules":["k_proj"],
            "rank_pattern":{},"alpha_pattern":null,"use_dora":true,"init_lora_weights":"gaussian","trainable_token_indices":null}
            """),
    ];

    private static readonly string[] Paths =
    [
        "model.language_model.layers.3.self_attn.q_proj", "model.language_model.layers.0.mlp.down_proj",
        "model.vision_tower.vision_model.encoder.layers.11.self_attn.k_proj", "lm_head", "",
    ];

    /// <summary>Tries <paramref name="iterations"/> damaged configurations in memory, always the same ones for one <paramref name="seed"/>.</summary>
    public static FuzzCount Run(long iterations, int seed)
    {
        var damage = new JsonDamage(
            seed, "\"all-linear\"", "\"pissa\"", "[\"q_proj\",null]", "[\"q_proj\",3]", "\"(\"", "\"[z-a]\"", "\"(a+)+b\"", "\"a{2147483647}\"", "[1,-1]", "[2.5]", "{\"q_proj\":null}", "{\"(\":1}");
        long accepted = 0;
        for (long i = 0; i < iterations; i++)
        {
            byte[] json = damage.Damage(Seeds[i % Seeds.Length]);
            try
            {
                AdapterConfig config = AdapterConfig.Parse(json, "fuzz");
                Use(config);
                accepted++;
            }
            catch (CheckpointException refusal)
            {
                if (refusal.Message.Any(char.IsControl)) throw new InvalidOperationException("the message is more than one line", refusal);
            }
            catch (Exception failure)
            {
                throw new InvalidOperationException($"input {i} of seed {seed}: {Encoding.UTF8.GetString(json)}", failure);
            }
        }

        return new FuzzCount(iterations, accepted);
    }

    private static void Use(AdapterConfig config)
    {
        foreach (string path in Paths)
        {
            _ = config.Targets(path);
            double scale = config.ScaleFor(path);
            if (!double.IsFinite(scale) || scale < 0) throw new InvalidOperationException($"the scale of {path} is {scale}");
        }

        string text = config.Format(Paths);
        AdapterConfig again = AdapterConfig.Parse(Encoding.UTF8.GetBytes(text), "fuzz");
        if (again.Format(Paths) != text || again.R != config.R) throw new InvalidOperationException($"saving changed the configuration: {text}");
    }
}
