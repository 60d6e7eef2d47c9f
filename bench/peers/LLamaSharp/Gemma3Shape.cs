/// <summary>The text shapes of GemmaCore's presets, as llama.cpp's gemma3 architecture names them.</summary>
sealed record Gemma3Shape(int Layers, int Width, int Inner, int Heads, int KeyHeads, int Vocabulary)
{
    private const int HeadSize = 256;

    public static Gemma3Shape Find(string name) => name switch
    {
        "mini" => new(8, 640, 2048, 4, 1, 32768),
        "gemma-3-270m" => new(18, 640, 2048, 4, 1, 262144),
        "gemma-3-1b" => new(26, 1152, 6912, 4, 1, 262144),
        "medgemma-4b" => new(34, 2560, 10240, 8, 4, 262208),
        _ => throw new ArgumentException($"no shape is called {name}: mini, gemma-3-270m, gemma-3-1b, medgemma-4b"),
    };

    /// <param name="path">The file.</param>
    /// <param name="linear">Type of the layers' matrices.</param>
    /// <param name="table">Type of the embeddings, which are the head too.</param>
    public void Write(string path, GgmlType linear, GgmlType table)
    {
        var file = new GgufFile("gemma3");
        file.Set("gemma3.context_length", 32768u);
        file.Set("gemma3.embedding_length", (uint)Width);
        file.Set("gemma3.block_count", (uint)Layers);
        file.Set("gemma3.feed_forward_length", (uint)Inner);
        file.Set("gemma3.attention.head_count", (uint)Heads);
        file.Set("gemma3.attention.head_count_kv", (uint)KeyHeads);
        file.Set("gemma3.attention.key_length", (uint)HeadSize);
        file.Set("gemma3.attention.value_length", (uint)HeadSize);
        file.Set("gemma3.attention.layer_norm_rms_epsilon", 1e-6f);
        file.Set("gemma3.attention.sliding_window", 512u);
        file.Set("gemma3.rope.freq_base", 1e6f);
        file.Set("gemma3.vocab_size", (uint)Vocabulary);
        file.Set("tokenizer.ggml.model", "none"); // token ids are all that is wanted
        file.Add("token_embd.weight", table, Width, Vocabulary);
        file.Add("output_norm.weight", GgmlType.F32, Width);
        for (int layer = 0; layer < Layers; layer++)
        {
            string block = $"blk.{layer}.";
            foreach (string norm in new[] { "attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm" }) file.Add($"{block}{norm}.weight", GgmlType.F32, Width);
            foreach (string norm in new[] { "attn_q_norm", "attn_k_norm" }) file.Add($"{block}{norm}.weight", GgmlType.F32, HeadSize);
            file.Add($"{block}attn_q.weight", linear, Width, Heads * HeadSize);
            file.Add($"{block}attn_k.weight", linear, Width, KeyHeads * HeadSize);
            file.Add($"{block}attn_v.weight", linear, Width, KeyHeads * HeadSize);
            file.Add($"{block}attn_output.weight", linear, Heads * HeadSize, Width);
            file.Add($"{block}ffn_gate.weight", linear, Width, Inner);
            file.Add($"{block}ffn_up.weight", linear, Width, Inner);
            file.Add($"{block}ffn_down.weight", linear, Inner, Width);
        }

        file.Write(path);
    }
}
