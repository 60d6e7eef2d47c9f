namespace GemmaCore.Models.Decoder;

/// <summary>How rotary positions are computed in one kind of layer.</summary>
/// <param name="Theta">Base of the frequencies.</param>
/// <param name="Factor">Positions are divided by this (linear scaling, arXiv:2306.15595); 1 for none.</param>
public readonly record struct RopeScaling(float Theta, float Factor)
{
    /// <summary>Reads <c>rope_parameters</c> or <c>rope_theta</c> + <c>rope_scaling</c>; refuses types other than default and linear.</summary>
    internal static RopeScaling Read(ConfigJson config, string layerType, string thetaKey, double defaultTheta, bool scaled)
    {
        if (config.Object("rope_parameters") is { } parameters)
        {
            ConfigJson own = parameters.Object(layerType) ?? parameters;
            return new RopeScaling(own.Float("rope_theta", defaultTheta, 1, 1e12), ReadFactor(own));
        }

        float theta = config.Float(thetaKey, defaultTheta, 1, 1e12);
        return new RopeScaling(theta, scaled && config.Object("rope_scaling") is { } scaling ? ReadFactor(scaling) : 1);
    }

    private static float ReadFactor(ConfigJson scaling)
    {
        string type = scaling.Text("rope_type", scaling.Text("type", "default"));
        return type switch
        {
            "default" => 1,
            "linear" => scaling.Float("factor", 1, 1, 1e6),
            _ => throw scaling.Refuse("rope_type", $"'{type}' is not supported; GemmaCore computes 'default' and 'linear'"),
        };
    }
}
